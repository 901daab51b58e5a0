# shellcheck shell=bash
# RabbitMQ, one node, with all of its files in DIR.

# Debian's wrappers in PATH insist on the user rabbitmq and on its directories;
# these are the scripts that they call in the end.
rabbit_sbin() {
    local sbin
    sbin=$(printf '%s\n' "$root"/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin | sort -V | tail -n 1)
    [[ -x $sbin/rabbitmq-server ]] && printf '%s\n' "${sbin#"$root"}"
}

# The caller's environment is not passed on: a RABBITMQ_ or ERL_ variable in it
# could lead to another node.
rabbit_environment() {
    local erl
    erl="-setcookie $(<"$dir/config/cookie") -kernel inet_dist_use_interface {127,0,0,1}"
    require_generation
    sbin=$(rabbit_sbin) || die "RabbitMQ is missing; run: $0 install"
    rabbit_env=("${inside[@]}" env -i PATH="$PATH" HOME="$dir/rabbit" LANG=C.UTF-8
        RABBITMQ_NODENAME="milepost-$base@localhost" RABBITMQ_DIST_PORT="$dist_port"
        RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT="$amqp_port"
        ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT="$epmd_port"
        RABBITMQ_MNESIA_BASE="$dir/rabbit" RABBITMQ_PID_FILE="$dir/rabbit/broker.pid"
        RABBITMQ_LOG_BASE="$dir/log" RABBITMQ_LOGS="$dir/log/rabbit-node.log"
        ERL_CRASH_DUMP="$dir/log/erl_crash.dump"
        RABBITMQ_CONF_ENV_FILE="$dir/config/none" RABBITMQ_CONFIG_FILES="$dir/config/none"
        RABBITMQ_CONFIG_FILE="$dir/config/rabbitmq.conf"
        RABBITMQ_ADVANCED_CONFIG_FILE="$dir/config/advanced.config"
        RABBITMQ_ENABLED_PLUGINS_FILE="$dir/config/enabled_plugins"
        # No busy waiting: an idle node leaves the processor to the tests.
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="$erl +sbwt none +sbwtdcpu none +sbwtdio none"
        # A ctl listens on any free port, as several may run at once.
        RABBITMQ_CTL_ERL_ARGS="$erl" RABBITMQ_CTL_DIST_PORT_MIN=0 RABBITMQ_CTL_DIST_PORT_MAX=0
        # The start script becomes the broker, instead of waiting for it.
        RUNNING_UNDER_SYSTEMD=true)
}

make_cookie() {
    mkdir -p "$dir/config"
    [[ -s $dir/config/cookie ]] ||
        (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$dir/config/cookie")
}

configure_rabbit() {
    mkdir -p "$dir/rabbit"
    make_cookie
    echo '[rabbitmq_management,rabbitmq_prometheus].' >"$dir/config/enabled_plugins"
    # The absolute limits are generous, so that no alarm stops a test's
    # publishers. The write-ahead log, 512 MB of messages by default, is small,
    # which saves memory and shortens the recovery after a kill.
    cat >"$dir/config/rabbitmq.conf" <<CONF
listeners.tcp.local = 127.0.0.1:$amqp_port
management.tcp.ip = 127.0.0.1
management.tcp.port = $management_port
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = $prometheus_port
loopback_users.guest = true
vm_memory_high_watermark.absolute = 2GB
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 67108864
CONF
    ! has_tls || cat >>"$dir/config/rabbitmq.conf" <<CONF
listeners.ssl.local = 127.0.0.1:$amqps_port
ssl_options.cacertfile = $dir/tls/ca.pem
ssl_options.certfile = $dir/tls/server.pem
ssl_options.keyfile = $dir/tls/server.key
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
CONF
    ! in_cluster || configure_member >>"$dir/config/rabbitmq.conf"
    # A message that is between two levels of the delay queues, which
    # dead-letter at least once, waits for the second queue's confirm. If a
    # restart loses the confirm, the message hangs until this timeout has it
    # sent again: by default 180 s.
    echo '[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 5000}]}].' \
        >"$dir/config/advanced.config"
}

# The listener for AMQP is the last that opens; asked before, ctl would only
# take processor time from the node. await_startup sees that booting has ended.
rabbit_is_ready() {
    listening "$amqp_port" &&
        "${rabbit_env[@]}" "$sbin/rabbitmqctl" -q await_startup --timeout 30 >/dev/null 2>&1
}

# Without this the node starts an epmd, which stays when the node has ended.
start_epmd() {
    epmd_runs && return
    require_free "$epmd_port"
    launch epmd "${rabbit_env[@]}" epmd -address 127.0.0.1 -port "$epmd_port"
    await epmd listening "$epmd_port"
}

# The nodes of a cluster have one epmd.
epmd_runs() {
    local of=$dir
    ! in_cluster || of=$(<"$dir/cluster")
    running epmd "$of" >/dev/null
}

start_rabbit() {
    configure_rabbit
    rabbit_environment
    ! in_cluster || epmd_runs || die "start the whole cluster first: $(<"$dir/cluster")"
    start_epmd
    if ! running rabbit >/dev/null; then
        require_free "$amqp_port" "$dist_port" "$management_port" "$prometheus_port" "$amqps_port"
        launch rabbit "${rabbit_env[@]}" "$sbin/rabbitmq-server"
    fi
    await rabbit rabbit_is_ready
}
