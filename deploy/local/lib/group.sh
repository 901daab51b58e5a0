# shellcheck shell=bash
# Several Redis on one machine: a primary with two replicas and a Sentinel
# beside each, or a Cluster of three primaries with a replica each. Each server
# is a DIR of its own in the group's, r1 and so on, which knows what it is by
# the file "group". The times after which one counts as lost are short.

readonly MEMBERS=(r1 r2 r3 r4 r5 r6)

in_group() { [[ -s $dir/group ]]; }

# Sentinels and the Cluster change it: it is written once.
configure_redis_member() {
    group_config=$dir/config/redis.conf
    mkdir -p "$dir/config"
    [[ ! -e $group_config ]] || return 0
    echo 'repl-diskless-sync-delay 0' >"$group_config"
    [[ $(<"$dir/group") != cluster ]] || cat >>"$group_config" <<CONF
cluster-enabled yes
cluster-port $group_port
cluster-config-file nodes.conf
cluster-node-timeout 2000
CONF
}

start_group() { # KIND MEMBERS OPTION of start...
    local member kind=$1 starting=() failed=0
    local members=("${MEMBERS[@]::$2}")
    "$0" start "$dir" --without-rabbit --without-redis "${@:3}"
    open_dir
    lock_dir
    for member in "${members[@]}"; do
        mkdir -p "$dir/$member"
        echo "$kind" >"$dir/$member/group"
        "$0" start "$dir/$member" --without-rabbit "${@:3}" &
        starting+=($!)
    done
    for member in "${starting[@]}"; do wait "$member" || failed=1; done
    ((!failed)) || die "not all servers of $dir started"
    "form_$kind" "${members[@]}"
    "write_${kind}_env" "${members[@]}"
}

at() { # MEMBER COMMAND...; runs it with that member's DIR
    (dir=$dir/$1 && name_ports && use_generation "$(remembered generation)" && "${@:2}")
}

port_of() { at "$1" eval "echo \$$2"; } # MEMBER VARIABLE

form_sentinel() { # MEMBER...
    local member primary
    primary=$(port_of "$1" redis_port)
    for member in "${@:2}"; do
        [[ ! -e $dir/formed ]] || break
        at "$member" redis_cli replicaof 127.0.0.1 "$primary" >/dev/null
        at "$member" redis_cli config rewrite >/dev/null
    done
    touch "$dir/formed"
    for member; do at "$member" start_sentinel "$primary"; done
    for member; do at "$member" await sentinel sentinel_is_ready; done
    for member; do at "$member" await redis replication_is_ready; done
}

replication_is_ready() {
    local said
    said=$(redis_cli info replication)
    [[ $said == *master_link_status:up* || $said == *role:master* ]]
}

start_sentinel() { # PORT of the primary
    local config=$dir/config/sentinel.conf
    [[ -e $config ]] || cat >"$config" <<CONF
bind 127.0.0.1
port $group_port
dir $dir/redis
sentinel monitor mymaster 127.0.0.1 $1 2
sentinel down-after-milliseconds mymaster 1500
sentinel failover-timeout mymaster 6000
CONF
    running sentinel >/dev/null && return
    require_free "$group_port"
    launch sentinel "${inside[@]}" "$(redis_kind)-server" "$config" --sentinel
}

# It knows the others, so that they can agree, and both replicas.
sentinel_is_ready() {
    local said
    said=$("${inside[@]}" "$(redis_kind)-cli" -h 127.0.0.1 -p "$group_port" info sentinel 2>/dev/null) &&
        [[ $said == *status=ok,*slaves=2,sentinels=3* ]]
}

form_cluster() { # MEMBER...
    local member nodes=()
    for member; do nodes+=("127.0.0.1:$(port_of "$member" redis_port)"); done
    if [[ ! -e $dir/formed ]]; then
        at "$1" redis_cli --cluster create "${nodes[@]}" --cluster-replicas 1 --cluster-yes >"$dir/log/form.log" 2>&1 ||
            die "no Cluster in $dir: $(tail -n 5 "$dir/log/form.log")"
        touch "$dir/formed"
    fi
    for member; do at "$member" await redis cluster_node_is_ready; done
}

cluster_node_is_ready() {
    local said
    said=$(redis_cli cluster info; redis_cli info replication)
    [[ $said == *cluster_state:ok* && $said == *cluster_known_nodes:6* ]] &&
        [[ $said == *master_link_status:up* || $said == *role:master*connected_slaves:1* ]]
}

write_sentinel_env() { # MEMBER...
    local member hosts=()
    for member; do hosts+=("127.0.0.1:$(port_of "$member" group_port)"); done
    write_group_env "redis-sentinel://$(IFS=, && echo "${hosts[*]}")/0" "$@"
}

write_cluster_env() { # MEMBER...
    local member hosts=()
    for member; do hosts+=("127.0.0.1:$(port_of "$member" redis_port)"); done
    write_group_env "redis-cluster://$(IFS=, && echo "${hosts[*]}")" "$@"
}

# The group's URL, and each server's with _1 and so on.
write_group_env() { # URL MEMBER...
    local member
    {
        echo "MILEPOST_REDIS_URL=$1"
        for member in "${@:2}"; do
            echo "MILEPOST_REDIS_URL_${member#r}=redis://127.0.0.1:$(port_of "$member" redis_port)/"
        done
    } >>"$dir/env"
}
