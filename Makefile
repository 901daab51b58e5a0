# The two commands that matter: `make run` and `make test`. `make help` lists the rest.

SERVERS := deploy/local/servers
SHELL := /bin/bash

.DEFAULT_GOAL := help

.PHONY: help run up down test docs manifests check fmt lint unit simulate fuzz bench costs soak console-bench attack nodes dashboards dashboard-preview

help: ## list what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## run the whole fleet in one process (in memory) and play a delivery of each provider
	cargo run --quiet --bin milepost -- run --play

up: ## run the fleet as on a cluster: a real RabbitMQ and Redis, each role a process of its own; Ctrl-C stops it
	deploy/local/up

down: ## stop what `make up` started
	deploy/local/up down

test: ## everything: format, lints, licences, unit tests, and tests on a private real RabbitMQ and Redis
	.ci/test

docs: ## make docs/ from the code again
	cargo run --quiet --bin milepost -- contract --write docs
	cargo run --quiet --bin milepost -- reference commands >docs/cli.md
	cargo run --quiet --bin milepost -- reference metrics >docs/metrics.md

manifests: ## make RabbitMQ's resources for Kubernetes from the code again; render and check every overlay
	cargo run --quiet --bin milepost -- --config deploy/overlays/dev/milepost.toml topology export --vhost / | deploy/components/topology-operator/generate
	.ci/kube/run

check: fmt lint unit ## what needs no servers: format, lints, unit tests

fmt: ## check the format
	cargo fmt --check

lint: ## clippy, warnings are errors
	cargo clippy --all-targets --quiet -- -D warnings

unit: ## tests that need no servers
	cargo test --quiet --test unit --test http --test cli

dashboards: ## write the dashboards and rules from deploy/observability/define, and check them
	deploy/observability/generate
	deploy/observability/check

dashboard-preview: ## draw every panel through four outages of a real fleet into target/dashboard-preview.png (Python with matplotlib)
	$(SERVERS) install prometheus prometheus-alertmanager
	@python3 -c 'import matplotlib' || { echo 'matplotlib is missing: pip install matplotlib, or apt-get install python3-matplotlib' >&2; exit 1; }
	cargo build --quiet --bins
	deploy/observability/prove --png target/dashboard-preview.png

nodes: ## three nodes of today's RabbitMQ under load, killed, stopped, hung, parted, drained: nothing is lost, how long each takes, what the doctor says
	.ci/today nodes:: --ignored --nocapture --test-threads 1

simulate: ## the whole fleet through schedules of faults: SEEDS=100000 FROM=SEED SECONDS=S TRACE=1; PLANTED=1: how many each planted bug takes
	cargo build --profile sim --quiet --example simulate
	target/sim/examples/simulate --seeds $(or $(SEEDS),100000) $(if $(FROM),--from $(FROM)) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(TRACE),--trace) $(if $(PLANTED),--planted $(if $(filter-out 1,$(PLANTED)),$(PLANTED)))

fuzz: ## fuzz the decoders, SECONDS in all (60); needs a nightly toolchain
	.ci/fuzz $(or $(SECONDS),60)

# What is measured is built as it is shipped.
MEASURED = --bin milepost --example bench --example floor-receiver --example floor-relay

BENCH = target/release/examples/bench $(if $(GENERATION),--generation $(GENERATION))

bench: ## receiver and workers beside bare programs: 14 minutes a generation (QUICK=1: one), GENERATION=today|debian12|both ROWS=receiver,worker PEERS=1 JSON=FILE WRITE=docs/performance.md
	$(SERVERS) install
	cargo build --release --quiet $(MEASURED)
	$(if $(PEERS),benches/peers/install target/peers)
	$(BENCH) compare $(if $(QUICK),--quick) $(if $(ROWS),--rows $(ROWS)) $(if $(PEERS),--peers target/peers) $(if $(JSON),--json $(JSON)) $(if $(WRITE),--write $(WRITE))

costs: ## what each property, header and byte of a message costs RabbitMQ, and an event in the ledger Redis: 9 minutes a generation, GENERATION=... WRITE=docs/performance.md
	$(SERVERS) install
	cargo build --release --quiet --example bench
	$(BENCH) costs $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(WRITE),--write $(WRITE))
	$(BENCH) ledger $(if $(WRITE),--write $(WRITE))

soak: ## the whole fleet at half its rate with trouble mixed in: MINUTES=20 RATE=EVENTS/S GENERATION=today|debian12 WRITE=docs/performance.md
	$(SERVERS) install
	cargo build --release --quiet $(MEASURED)
	$(BENCH) soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(RATE),--rate $(RATE)) $(if $(WRITE),--write $(WRITE))

console-bench: ## the operator's pages with 100,000 parked messages: 3 minutes, GENERATION=today|debian12 MESSAGES=N WRITE=docs/console.md
	$(SERVERS) install
	cargo build --release --quiet --bin milepost --example bench
	$(BENCH) console $(if $(MESSAGES),--messages $(MESSAGES)) $(if $(WRITE),--write $(WRITE))

attack: ## webhooks of one provider while another's URL is held by 1,000 slow connections and 100 new ones a second: a minute and a half
	cargo run --release --quiet --example slow_senders
