# shellcheck shell=bash
# Ports of a DIR: ten in a row, which stay its own for as long as it exists.

# The kernel's table shows listeners on every address, and does not disturb
# them as a trial connection would.
listening() { # PORT
    local hex
    hex=$(printf '%04X' "$1")
    grep -qsE "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:[0-9A-F]+ 0A " /proc/net/tcp /proc/net/tcp6
}

# A process that was just killed may hold its sockets for a moment longer.
require_free() { # PORT...
    local port end=$((SECONDS + 5))
    for port; do
        while listening "$port"; do
            ((SECONDS < end)) || die "port $port, which $dir uses, is taken by another program"
            sleep 0.1
        done
    done
}

# Each DIR has a block of ten ports, below the range that Linux uses for
# outgoing connections. DIR/port-base remembers it, and a registry reserves it
# for as long as DIR exists, so that a stopped DIR finds its ports free again.
block_is_free() { # REGISTRY BASE
    local port owner=
    [[ ! -s $1/$2 ]] || owner=$(<"$1/$2")
    [[ ! -s $owner/port-base || $(<"$owner/port-base") != "$2" ]] || return 1
    for ((port = $2; port < $2 + 10; port++)); do ! listening "$port" || return 1; done
}

reserve_ports() {
    local lock i registry=/tmp/milepost-servers-$UID block=$((20000 + RANDOM % 500 * 10))
    mkdir -m 700 "$registry" 2>/dev/null || [[ -O $registry && ! -L $registry ]] ||
        die "$registry belongs to another user"
    exec {lock}>"$registry/lock"
    flock "$lock"
    if [[ ! -s $dir/port-base ]]; then
        for ((i = 0; i < 500; i++)); do
            ! block_is_free "$registry" "$block" || break
            block=$((block < 24990 ? block + 10 : 20000))
        done
        ((i < 500)) || die "there are no free ports from 20000 to 24999"
        echo "$block" >"$dir/port-base"
    fi
    name_ports
    printf '%s\n' "$dir" >"$registry/$base"
    exec {lock}>&-
}

name_ports() {
    base=$(<"$dir/port-base")
    [[ $base =~ ^2[0-4][0-9][0-9]0$ ]] || die "$dir/port-base does not hold a port"
    epmd_port=$base amqp_port=$((base + 1)) dist_port=$((base + 2))
    management_port=$((base + 3)) prometheus_port=$((base + 4)) redis_port=$((base + 5))
    amqps_port=$((base + 6)) rediss_port=$((base + 7))
    # Of a Redis in a group: its Sentinel's, or the one for the Cluster's nodes.
    group_port=$((base + 8))
    ! in_cluster || epmd_port=$(<"$(<"$dir/cluster")/port-base")
}
