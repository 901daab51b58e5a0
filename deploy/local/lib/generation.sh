# shellcheck shell=bash
# Servers of another Debian than the machine's own. Its release is unpacked
# into a folder. A server of it runs in mounts of its own, in which that folder's
# /usr and /etc cover the machine's; all else, DIR included, stays where it is.
# The mounts end with their last process.

# Cannot be had on this machine. A test says NOT CHECKED.
readonly CANNOT_BE_HAD=3
cannot() { printf 'servers: the generation %s cannot be had here: %s\n' "$generation" "$*" >&2; exit $CANNOT_BE_HAD; }

readonly GENERATIONS=${MILEPOST_GENERATIONS:-/var/lib/milepost-servers}

release_of() { # GENERATION
    case $1 in
        today) echo trixie ;;
        debian12) echo bookworm ;;
        *) die "there is no generation $1: it is today or debian12" ;;
    esac
}

packages_of() { # GENERATION
    case $1 in
        today) echo rabbitmq-server,redis-server,valkey-server ;;
        debian12) echo rabbitmq-server,redis-server ;;
    esac
}

own_release() { (. /etc/os-release 2>/dev/null && printf '%s\n' "${VERSION_CODENAME:-}"); }

# Sets root, the folder, which is empty where the machine's own packages serve,
# and inside, the words before a command that runs there. A user who is not
# root needs a kernel that lets users have mounts of their own.
use_generation() { # GENERATION, or nothing for the machine's own
    local release mounts=(--mount)
    generation=${1:-} root='' inside=()
    [[ -n $generation ]] || return 0
    release=$(release_of "$generation")
    [[ $release != "$(own_release)" ]] || return 0
    root=$GENERATIONS/$release
    ((EUID == 0)) || mounts+=(--map-root-user)
    # shellcheck disable=SC2016  # Expanded in there.
    inside=(unshare "${mounts[@]}" -- sh -c
        'mount --bind "$0/etc" /etc && mount --bind "$0/usr" /usr && exec "$@"' "$root")
}

require_generation() {
    [[ -z $root || -d $root ]] || die "the generation $generation is missing; run: $0 install --generation $generation"
}

install_generation() { # GENERATION
    local log
    use_generation "$1"
    if [[ -z $root ]]; then
        install_missing
        return
    fi
    [[ -L /bin && -L /lib ]] || cannot "this machine has a /bin or a /lib outside /usr"
    command -v unshare >/dev/null || cannot "there is no unshare"
    [[ ! -d $root ]] || { can_enter; return; }
    command -v apt-get >/dev/null || cannot "there is no apt-get"
    ((EUID == 0)) || { command -v sudo >/dev/null && sudo -n true; } ||
        cannot "this needs root, or a user who may use sudo"
    as_root unshare --mount -- true || cannot "mounting is not allowed"
    install_missing debootstrap
    as_root mkdir -p "$GENERATIONS"
    log=$(mktemp)
    printf 'servers: fetching Debian %s into %s\n' "$(release_of "$1")" "$root" >&2
    # One at a time, and under another name until it is whole.
    # shellcheck disable=SC2016  # Expanded in there.
    as_root flock "$GENERATIONS/lock" sh -euc '
        [ ! -d "$2" ] || exit 0
        rm -rf "$2.new"
        debootstrap --variant=minbase --include="$1" "$3" "$2.new" $4
        rm -rf "$2.new/var/cache/apt/archives" "$2.new/var/lib/apt/lists"
        echo "127.0.0.1 localhost" >"$2.new/etc/hosts"
        mv "$2.new" "$2"
    ' sh "$(packages_of "$1")" "$root" "$(release_of "$1")" "$(mirror)" >"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; die "debootstrap failed; all it said is in $log"; }
    rm -f "$log"
    can_enter
}

can_enter() { "${inside[@]}" true || cannot "mounting is not allowed"; }

# Where this machine has its own packages from, if that is a Debian.
mirror() {
    # shellcheck disable=SC2016  # apt-get expands it.
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        sed -n 's/^Debian Debian //p' | head -n 1
}
