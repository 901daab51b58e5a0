# shellcheck shell=bash
# Certificates of a throw-away CA, for servers on loopback.

# A server that runs has read its configuration already, so TLS comes with its
# start or not at all. Clients need no certificate.
has_tls() { [[ -s $dir/tls/server.pem ]]; }

make_certificates() {
    local name
    has_tls && return
    command -v openssl >/dev/null || die "openssl is missing; run: $0 install"
    for name in rabbit redis; do
        ! running "$name" >/dev/null || die "$name of $dir runs without TLS; stop it first"
    done
    mkdir -p "$dir/tls"
    cat >"$dir/tls/openssl.conf" <<CONF
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
CONF
    certify ca "/CN=Milepost's throw-away CA"
    # Made under another name: server.pem is there only when all is.
    certify new /CN=localhost -CA "$dir/tls/ca.pem" -CAkey "$dir/tls/ca.key"
    mv "$dir/tls/new.key" "$dir/tls/server.key"
    mv "$dir/tls/new.pem" "$dir/tls/server.pem"
}

# New connections get the new certificates: RabbitMQ reads the files again once
# it has forgotten them, and Redis when CONFIG SET names them.
renew_certificates() {
    local name
    certify next-ca "/CN=Milepost's next throw-away CA"
    certify next /CN=localhost -CA "$dir/tls/next-ca.pem" -CAkey "$dir/tls/next-ca.key"
    for name in pem key; do
        mv "$dir/tls/next-ca.$name" "$dir/tls/ca.$name"
        mv "$dir/tls/next.$name" "$dir/tls/server.$name"
    done
    rabbit_environment
    "${rabbit_env[@]}" "$sbin/rabbitmqctl" -q eval 'ssl:clear_pem_cache().' >/dev/null
    "${inside[@]}" "$(redis_kind)-cli" -h 127.0.0.1 -p "$redis_port" config set \
        tls-cert-file "$dir/tls/server.pem" tls-key-file "$dir/tls/server.key" \
        tls-ca-cert-file "$dir/tls/ca.pem" >/dev/null
}

certify() { # NAME SUBJECT OPTIONS...; the CA's extensions, unless it signs
    local extensions=ca
    (($# == 2)) || extensions=server
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \
        -config "$dir/tls/openssl.conf" -extensions "$extensions" -subj "$2" "${@:3}" \
        -keyout "$dir/tls/$1.key" -out "$dir/tls/$1.pem" 2>"$dir/log/openssl.log" ||
        die "openssl made no certificate: $(<"$dir/log/openssl.log")"
}
