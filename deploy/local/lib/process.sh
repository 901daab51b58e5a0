# shellcheck shell=bash
# Processes of a DIR: NAME.pid says which, log/NAME.log what it printed.

# A pid may have passed on to another process, but that one does not work in
# DIR. A zombie, which some containers keep, does not either.
running() { # NAME [DIR]; prints the pid
    local pid of=${2:-$dir}
    [[ -s $of/$1.pid ]] && pid=$(<"$of/$1.pid") &&
        [[ $(readlink "/proc/$pid/cwd") == "$of"/* ]] && printf '%s\n' "$pid"
}

# The process has its own session and none of the caller's open files, so it
# outlives the caller, and a pipe that the caller writes to comes to its end.
launch() ( # NAME COMMAND...
    cd "$dir/log"
    # 1024 open files, a usual limit, are too few; a limit of a billion, usual
    # in containers, costs Erlang time and memory at its start.
    ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
    for fd in /proc/self/fd/*; do
        ((${fd##*/} < 3)) || eval "exec ${fd##*/}>&-"
    done
    setsid "${@:2}" </dev/null >>"$1.log" 2>&1 &
    echo $! >"$dir/$1.pid"
)

end_process() { # NAME SIGNAL...; each signal has 30 s to work
    local pid signal end
    pid=$(running "$1") || return 0
    for signal in "${@:2}"; do
        kill "-$signal" "$pid" 2>/dev/null || true
        end=$((SECONDS + 30))
        while ((SECONDS < end)); do
            running "$1" >/dev/null || return 0
            sleep 0.1
        done
    done
    die "process $pid, $1 of $dir, does not end"
}

await() { # NAME READY-COMMAND...
    local end=$((SECONDS + 120))
    until "${@:2}"; do
        if ! running "$1" >/dev/null || ((SECONDS >= end)); then
            tail -n 40 "$dir/log/$1"*.log >&2
            end_process "$1" TERM KILL
            die "$1 did not become ready in $dir; the end of its log is above"
        fi
        sleep 0.2
    done
}
