# shellcheck shell=bash
# Redis, or Valkey, with all of its files in DIR.

# What DIR has: it is decided by its first start.
redis_kind() { if [[ -e $dir/valkey ]]; then echo valkey; else echo redis; fi; }

redis_cli() { "${inside[@]}" "$(redis_kind)-cli" -h 127.0.0.1 -p "$redis_port" "$@"; }

redis_is_ready() { listening "$redis_port" && [[ $(redis_cli ping 2>/dev/null) == PONG ]]; }

start_redis() {
    local server tls=()
    server=$(redis_kind)-server
    require_generation
    "${inside[@]}" sh -c 'command -v "$0"' "$server" >/dev/null ||
        die "$server is missing${generation:+ in the generation $generation}; see: $0 help"
    mkdir -p "$dir/redis"
    if ! running redis >/dev/null; then
        require_free "$redis_port" "$rediss_port"
        ! has_tls || tls=(--tls-port "$rediss_port" --tls-auth-clients no
            --tls-cert-file "$dir/tls/server.pem" --tls-key-file "$dir/tls/server.key"
            --tls-ca-cert-file "$dir/tls/ca.pem")
        # A member of a group writes to its configuration file what the group decides.
        ! in_group || configure_redis_member
        launch redis "${inside[@]}" "$server" ${group_config:+"$group_config"} \
            --bind 127.0.0.1 --port "$redis_port" --dir "$dir/redis" \
            --save "" --appendonly yes --appendfsync everysec \
            --maxmemory-policy noeviction --daemonize no "${tls[@]}"
    fi
    await redis redis_is_ready
}
