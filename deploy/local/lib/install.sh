# shellcheck shell=bash
# What the machine lacks, from Debian.

install_missing() { # PACKAGE...
    local package missing=() policy=/usr/sbin/policy-rc.d
    # Another apt may be at work; it is waited for.
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=600)
    rabbit_sbin >/dev/null || missing+=(rabbitmq-server)
    command -v redis-server >/dev/null || missing+=(redis-server)
    command -v curl >/dev/null || missing+=(curl)
    command -v openssl >/dev/null || missing+=(openssl)
    for package; do
        [[ $(dpkg-query -Wf '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null || die "cannot install ${missing[*]}: there is no apt-get"
    ((EUID == 0)) || { command -v sudo >/dev/null && sudo true; } ||
        die "cannot install ${missing[*]}: this needs root, or a user who may use sudo"
    # The packages start their services unless a policy-rc.d forbids it. One
    # that exists already has an owner, and stays as it is.
    if [[ ! -e $policy ]]; then
        trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    as_root "${apt[@]}" update
    as_root "${apt[@]}" install --no-install-recommends "${missing[@]}"
}
