# SPDX-License-Identifier: Apache-2.0
# bash completion for csnapd, csnap-mkstore, csnap-check, csnap-dump, csnap-restore, csnap-admin,
# csnap-nbd, csnap-fuse and csnap-bench. Source it, or put it in /usr/share/bash-completion/completions/ under each program's
# name.

# The words of $1 that fit what is being typed.
_csnap_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}
_csnap_paths() {
  mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  compopt -o filenames
}

# What both ends of a connection are called.
_csnap_address() {
  # bash cuts words at colons: of unix:PATH only PATH is being completed.
  if [[ ${COMP_WORDS[COMP_CWORD - 1]} == : || $cur == unix:* ]]; then
    cur=${cur#unix:}
    cur=${cur#:}
    _csnap_paths
  else
    _csnap_words "unix:/run/csnap/csnapd.sock 127.0.0.1:7680"
  fi
}

_csnap_previous() {
  cur=${COMP_WORDS[COMP_CWORD]}
  prev=${COMP_WORDS[COMP_CWORD - 1]}
  if [[ $prev == : && $COMP_CWORD -ge 3 ]]; then prev=${COMP_WORDS[COMP_CWORD - 3]}; fi
}

_csnapd() {
  local cur prev
  _csnap_previous
  case $prev in
    --origin | --store | --metadata | --config) _csnap_paths ;;
    --listen) _csnap_address ;;
    --log-level) _csnap_words "error warning info debug" ;;
    --cache) _csnap_words "16M 64M 256M 1G" ;;
    --lease) _csnap_words "1000 10000 30000" ;;
    --client-copies) _csnap_words "auto on off" ;;
    --streams-from) _csnap_words "10.0.0.0/8 192.168.0.0/16" ;;
    *)
      _csnap_words "--origin --store --metadata --listen --cache --lease --client-copies --streams-from --log-level
        --config --version --help"
      ;;
  esac
}

_csnap_mkstore() {
  local cur prev
  _csnap_previous
  case $prev in
    --metadata) _csnap_paths ;;
    --size) _csnap_words "1G 10G 100G 1T" ;;
    --chunk-size) _csnap_words "4K 16K 64K 256K 1M" ;;
    --journal-size) _csnap_words "16M 64M 256M" ;;
    --label) ;;
    *)
      if [[ $cur == -* ]]; then
        _csnap_words "--size --preallocate --chunk-size --journal-size --metadata --label --force --dry-run
          --json --version --help"
      else
        _csnap_paths
      fi
      ;;
  esac
}

_csnap_check() {
  local cur prev
  _csnap_previous
  case $prev in
    --metadata | --to | --bad-sectors) _csnap_paths ;;
    --range) ;;
    --block-size) _csnap_words "512 1024 4096" ;;
    *)
      if [[ $cur == -* ]]; then
        _csnap_words "--repair --to --force --yes --data --metadata --rmap --range --bad-sectors
          --block-size --json --progress --version --help"
      else
        _csnap_paths
      fi
      ;;
  esac
}

# The names of the snapshots of the server that the command line speaks of; nothing when it does
# not answer.
_csnap_snapshots() {
  local server=() i
  for ((i = 1; i < COMP_CWORD - 1; i++)); do
    if [[ ${COMP_WORDS[i]} == --server ]]; then
      # unix : PATH, or HOST : PORT, cut at the colon
      server=(--server "${COMP_WORDS[i + 1]}")
      [[ ${COMP_WORDS[i + 2]} != : ]] || server[1]+=:${COMP_WORDS[i + 3]}
    fi
  done
  mapfile -t COMPREPLY < <(
    compgen -W "$(timeout 1 csnap-admin "${server[@]}" --json list 2>/dev/null </dev/null |
      grep -o '"name": *"[^"]*"' | cut -d'"' -f4)" -- "$cur"
  )
}

_csnap_admin() {
  local cur prev command='' i
  _csnap_previous
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      create | delete | rename | list | status | locks | dump | check | rmap | handle | resolve | copy | send | receive | \
        replicate | promote | demote)
        command=${COMP_WORDS[i]}
        ;;
    esac
  done
  if [[ $prev == --server || $prev == --to ]]; then
    _csnap_address
  elif [[ $prev == --bad-sectors ]]; then
    _csnap_paths
  elif [[ $prev == --block-size ]]; then
    _csnap_words "512 1024 4096"
  elif [[ $prev == --output || $prev == --input ]]; then
    _csnap_paths
  elif [[ $prev == --from ]]; then
    _csnap_snapshots
  elif [[ $prev == --compress ]]; then
    _csnap_words zstd
  elif [[ $prev == --schedule ]]; then
    _csnap_words "30s 15m 1h 1d"
  elif [[ $prev == --keep || $prev == --prefix || $prev == --file || $prev == --limit || $prev == --resume || $prev == --resume-from-token ]]; then
    :
  elif [[ $cur == -* ]]; then
    if [[ $command == delete ]]; then
      _csnap_words "--force --server --json --help"
    elif [[ $command == check ]]; then
      _csnap_words "--data --progress --server --json --help"
    elif [[ $command == rmap ]]; then
      _csnap_words "--bad-sectors --block-size --server --json --help"
    elif [[ $command == copy ]]; then
      _csnap_words "--force --progress --server --json --help"
    elif [[ $command == send ]]; then
      _csnap_words "--from --to --file --output --compress --limit --dry-run --resume --force --progress
        --server --json --help"
    elif [[ $command == receive ]]; then
      _csnap_words "--input --file --resume-from-token --resume-token --abort --replica --force
        --progress --server --json --help"
    elif [[ $command == replicate ]]; then
      _csnap_words "--to --schedule --once --keep --prefix --forget --compress --limit --force --progress
        --server --json --help"
    elif [[ $command == promote ]]; then
      _csnap_words "--force --server --json --help"
    else
      _csnap_words "--server --json --version --help"
    fi
  elif [[ -z $command ]]; then
    _csnap_words "create delete rename list status locks dump check rmap handle resolve copy send receive
      replicate promote demote"
  elif [[ $command == delete || $command == handle || $command == send || $command == replicate || ($command == rename && $prev == rename) ]]; then
    _csnap_snapshots
  elif [[ $command == copy ]]; then
    _csnap_paths
    COMPREPLY+=($(compgen -W "origin snapshot: tree:" -- "$cur"))
  fi
}

_csnap_dump() {
  local cur prev
  _csnap_previous
  case $prev in
    --metadata | --output | -o) _csnap_paths ;;
    *)
      if [[ $cur == -* ]]; then
        _csnap_words "--metadata --output --pack --progress --version --help"
      else
        _csnap_paths
      fi
      ;;
  esac
}

_csnap_restore() {
  local cur prev
  _csnap_previous
  case $prev in
    --metadata | --input | -i) _csnap_paths ;;
    *)
      if [[ $cur == -* ]]; then
        _csnap_words "--metadata --input --force --json --progress --version --help"
      else
        _csnap_paths
      fi
      ;;
  esac
}

_csnap_nbd() {
  local cur prev
  _csnap_previous
  case $prev in
    --server | --listen) _csnap_address ;;
    --origin | --store) _csnap_paths ;;
    --threads) _csnap_words "4 16 64" ;;
    *)
      _csnap_words "--server --listen --read-only --origin --store --threads --verbose --version
        --help"
      ;;
  esac
}

_csnap_fuse() {
  local cur prev
  _csnap_previous
  case $prev in
    --server) _csnap_address ;;
    --origin | --store) _csnap_paths ;;
    --threads) _csnap_words "4 16 64" ;;
    *)
      if [[ $cur == -* ]]; then
        _csnap_words "--server --read-only --allow-other --origin --store --threads --verbose --version
          --help"
      else
        _csnap_paths
      fi
      ;;
  esac
}

_csnap_bench() {
  local cur prev
  _csnap_previous
  case $prev in
    --server) _csnap_address ;;
    --load) _csnap_words "unique read write overwrite" ;;
    --pattern) _csnap_words "uniform zipfian sequential once" ;;
    --snapshot) _csnap_snapshots ;;
    --picture) _csnap_paths ;;
    --in-flight | --range | --chunks | --seconds | --warmup | --requests | --seed | --server-pid | --snapshot-every) ;;
    *)
      _csnap_words "--server --load --snapshot --in-flight --range --chunks --pattern --seconds
        --warmup --requests --seed --snapshot-every --prepare --server-pid --json --picture --force --version --help"
      ;;
  esac
}

complete -F _csnapd csnapd
complete -F _csnap_mkstore csnap-mkstore
complete -F _csnap_check csnap-check
complete -F _csnap_admin csnap-admin
complete -F _csnap_dump csnap-dump
complete -F _csnap_restore csnap-restore
complete -F _csnap_nbd csnap-nbd
complete -F _csnap_fuse csnap-fuse
complete -F _csnap_bench csnap-bench
