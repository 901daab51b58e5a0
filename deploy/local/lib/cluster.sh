# shellcheck shell=bash
# Three nodes of RabbitMQ on one machine. The cluster's DIR has their epmd, their
# cookie, and a Redis; each node is a DIR of its own in it, n1 to n3, which knows
# its cluster by the file "cluster".

readonly NODES=(n1 n2 n3)

in_cluster() { [[ -s $dir/cluster ]]; }

# A node that sees the minority stops until it sees the others again. RabbitMQ's
# own default, to ignore a partition, leaves two clusters that differ.
configure_member() { echo 'cluster_partition_handling = pause_minority'; }

start_cluster() { # OPTION of start...
    local node options=() starting=() failed=0
    for node; do
        # The cluster's one Redis is DIR's.
        [[ $node == --valkey || $node == --without-redis ]] || options+=("$node")
    done
    "$0" start "$dir" --without-rabbit "$@"
    open_dir
    lock_dir
    use_generation "$(remembered generation)"
    make_cookie
    rabbit_environment
    start_epmd
    for node in "${NODES[@]}"; do
        mkdir -p "$dir/$node/config"
        printf '%s\n' "$dir" >"$dir/$node/cluster"
        cp "$dir/config/cookie" "$dir/$node/config/cookie"
        # All at once: a node that was stopped before the others waits for them.
        "$0" start "$dir/$node" --without-redis "${options[@]}" &
        starting+=($!)
    done
    for node in "${starting[@]}"; do wait "$node" || failed=1; done
    ((!failed)) || die "not all nodes of $dir started"
    for node in "${NODES[@]:1}"; do [[ -e $dir/$node/joined ]] || join "$node"; done
    write_nodes_env
}

join() { # NODE
    local first step
    first=milepost-$(<"$dir/${NODES[0]}/port-base")@localhost
    for step in stop_app reset "join_cluster $first" start_app; do
        # shellcheck disable=SC2086  # Words.
        "$0" ctl "$dir/$1" -q $step >>"$dir/$1/log/join.log" 2>&1 ||
            die "$1 of $dir does not join: $(tail -n 5 "$dir/$1/log/join.log")"
    done
    touch "$dir/$1/joined"
}

# DIR/env, with each of the nodes' variables under its name and _1 to _3.
write_nodes_env() {
    local i
    for i in "${!NODES[@]}"; do
        sed "s/=/_$((i + 1))=/" "$dir/${NODES[i]}/env"
    done >"$dir/env.nodes"
    cat "$dir/env.nodes" >>"$dir/env"
    rm "$dir/env.nodes"
}

# Of a cluster, or of a group of Redis.
stop_members() {
    local node stopping=()
    for node in "${NODES[@]}" "${MEMBERS[@]}"; do
        [[ -d $dir/$node ]] || continue
        "$0" stop "$dir/$node" &
        stopping+=($!)
    done
    for node in "${stopping[@]}"; do wait "$node"; done
}
