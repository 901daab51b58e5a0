//! What a process says with its exit code.

use crate::support::process::Program;
use crate::support::servers::Vhost;

#[tokio::test]
async fn a_bad_configuration_is_78_and_every_problem_is_on_standard_error() {
    let receiver = Program::receiver("amqp://127.0.0.1/%2f")
        .env("MILEPOST__TOPOLOGY__MODE", "perhaps")
        .env("MILEPOST__WORKER__PREFETCH", "0")
        .env("MILEPOST__RETRY__JITTER", "2.5")
        .env("MILEPOST_REDIS_URL", "http://127.0.0.1/");
    let (code, stdout, stderr) = receiver.output().await;
    assert_eq!(code, Some(78));
    assert_eq!(stdout, [""; 0]);
    let stderr = stderr.join("\n");
    for key in ["topology.mode", "worker.prefetch", "retry.jitter", "redis.url"] {
        assert!(stderr.contains(key), "{key} is not named: {stderr}");
    }
}

#[tokio::test]
async fn bad_usage_is_2() {
    let (code, _, stderr) = Program::receiver("amqp://127.0.0.1/%2f").arg("--nonsense").output().await;
    assert_eq!(code, Some(2), "{stderr:?}");
    let (code, _, stderr) = Program::milepost("send no-such-provider").output().await;
    assert_eq!(code, Some(2), "{stderr:?}");
    assert!(
        stderr.join("\n").contains("the providers are telyport, 247express, deliverect, dash, hubrise"),
        "{stderr:?}"
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_1() {
    let vhost = Vhost::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = taken.local_addr().expect("bound").to_string();
    for (variable, key) in [("MILEPOST_HTTP_ADDR", "http.addr"), ("MILEPOST_ADMIN_ADDR", "admin.addr")] {
        let (code, _, stderr) = Program::receiver(&vhost.amqp_url).env(variable, &addr).output().await;
        assert_eq!(code, Some(1));
        assert!(stderr.join("\n").contains(&format!("cannot listen on {addr} ({key})")), "{stderr:?}");
    }
}
