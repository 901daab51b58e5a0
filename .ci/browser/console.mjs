// Node, playwright-core and Debian's chromium: what an operator does, as an operator does it.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [base, webhooks, pictures] = process.argv.slice(2);
const milepost = (...words) => execFileSync(process.env.MILEPOST, words, { encoding: "utf8" });
const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

// What was parked: records as `milepost parked import` takes them.
const HOSTILE = `"><script>window.hurt=1</script><img src=x onerror="window.hurt=1">'\u202e`;
const v7 = (received) => {
  const time = received.toString(16).padStart(12, "0"), rest = randomUUID().replaceAll("-", "");
  const hex = time + "7" + rest.slice(13, 16) + "a" + rest.slice(17);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
};
function record(delivery, reason, detail, body) {
  const parked = Date.now() - Math.floor(Math.random() * 72000000), id = v7(parked - 4000);
  const headers = { "mp-reason": reason, "mp-detail": detail, "mp-parked-at": parked, "mp-attempt": 3 };
  const bytes = body ?? JSON.stringify(of(delivery));
  return { id, provider: "telyport", message_id: id, account: "default", content_type: "application/json", headers, body: Buffer.from(bytes).toString("base64") };
}
// A webhook of a delivery of its own, as the provider sends it.
function of(delivery) {
  const now = Date.now();
  const data = { orderID: delivery, status: "DROPCOMPLETED", updatedAt: now, businessOrderID: `#${delivery.replace("IN-FORMAT", "shop")}`, customerName: "Jane Roe" };
  return { timestamp: now, event: "ORDER.STATUS_UPDATED", data, webhookEventID: randomUUID() };
}
const format = Array.from({ length: 12 }, (_, number) => record(`IN-FORMAT-${number}`, "malformed", "unknown_status"));
const hostile = [record(HOSTILE, "retries_exhausted", "publish_refused"), record("x", "malformed", "not_json", HOSTILE)];
const file = join(tmpdir(), `milepost-browser-${process.pid}.jsonl`);
writeFileSync(file, [...format, ...hostile].map((record) => JSON.stringify(record)).join("\n") + "\n");
milepost("parked", "import", file);
for (const provider of ["telyport", "dash", "deliverect"]) milepost("send", provider, "--journey", "--count", "3", "--to", webhooks);
milepost("subscribe", "orders-service", "*.*.closed.*", "--max-length", "100000");

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--headless", "--no-sandbox", "--disable-gpu"] });
// What the browser's console calls an error; a page that is refused on purpose is none.
const errors = [];
let refusalExpected = false;
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.on("console", (message) => { if (message.type() === "error" && !refusalExpected) errors.push(`${page.url()}: ${message.text()}`); });
  page.on("pageerror", (error) => errors.push(`${page.url()}: ${error}`));
  return page;
}
async function logIn(page, name) {
  await page.goto(base + "/");
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill("milepost");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL(base + "/");
}
// Nothing serious by axe-core, and no script of others has run.
async function sound(page, what) {
  const found = await page.evaluate(`${axe}; axe.run()`);
  const serious = found.violations.filter((violation) => ["serious", "critical"].includes(violation.impact));
  assert.deepEqual(serious.map((one) => `${what}: ${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`), []);
  assert.equal(await page.evaluate("window.hurt"), undefined, `${what}: a script of others has run`);
  const overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
  assert.ok(overflow <= 0, `${what}: wider than the window by ${overflow}`);
}
async function picture(page, name) {
  if (pictures) await page.screenshot({ path: join(pictures, `console-${name}.png`) });
}
async function until(what, condition) {
  for (const end = Date.now() + 30000; Date.now() < end; await new Promise((wait) => setTimeout(wait, 100))) {
    if (await condition()) return;
  }
  assert.fail(`never came true: ${what}`);
}

const page = await open();
await page.goto(base + "/parked");
await sound(page, "login");
await picture(page, "login");
await logIn(page, "operator");

// Now, live: the script has replaced what the page began with.
await page.getByText("Live.").waitFor();
await until("the receiver has said how it does", async () => (await page.locator("main table").textContent()).includes("tolerates"));
await sound(page, "now");
await picture(page, "now");

// Parked: the groups, a group, and a message of it.
await page.getByRole("link", { name: "Parked", exact: true }).click();
await until("the parked messages are read", async () => { await page.reload(); return (await page.getByText("14 parked").count()) > 0; });
await sound(page, "parked");
await picture(page, "parked");
await page.getByRole("link", { name: "Show the messages one by one" }).click();
await sound(page, "messages");
await picture(page, "messages");
await page.goto(`${base}/parked/telyport/${hostile[0].id}`);
await sound(page, "hostile message");
await page.goto(`${base}/parked/telyport/${hostile[1].id}`);
await page.getByRole("button", { name: "Show personal data" }).click();
await page.getByText("window.hurt=1").waitFor();
await sound(page, "hostile body");
await page.goto(`${base}/parked/telyport/${format[0].id}`);
assert.ok(!(await page.locator("pre").textContent()).includes("Jane Roe"), "masked");
await picture(page, "message");
await page.getByRole("button", { name: "Show personal data" }).click();
await page.getByLabel("Body").last().waitFor();
await sound(page, "editor");
await picture(page, "edit");

// Why does delivery X show nothing? Found by its id alone, with the box that every page has.
const begun = Date.now();
await page.getByRole("searchbox").fill("IN-FORMAT-3");
await page.getByRole("searchbox").press("Enter");
await page.getByText("not published").first().waitFor();
await page.getByRole("link", { name: "Look at the webhook" }).click();
await page.getByText("unknown_status").first().waitFor();
const why = Date.now() - begun;
// The same by what the merchant calls it, which support has: one webhook of one delivery, and nothing of shop-30.
await page.getByRole("searchbox").fill("shop-3");
await page.getByRole("searchbox").press("Enter");
await page.getByText("is a reference of").waitFor();
await page.getByText("not published").first().waitFor();
assert.equal(await page.locator("section.card h3").count(), 1);
await sound(page, "search by reference");
await picture(page, "reference");
await page.getByRole("link", { name: "Look at the webhook" }).click();

// The group is replayed, from the click to the published update.
const tail = spawn(process.env.MILEPOST, ["tail", "--json", "--count", "12", "--delivery", "IN-FORMAT-3", "--until-idle", "60s"]);
let published = "";
tail.stdout.on("data", (data) => { published += data; });
await new Promise((attached) => tail.stderr.on("data", (data) => { if (`${data}`.includes("reading updates")) attached(); }));
const fixed = Date.now();
await page.getByRole("link", { name: "Parked", exact: true }).click();
await page.getByRole("row", { name: /unknown_status/ }).getByRole("link", { name: "Replay" }).click();
await page.getByText("Replay 12 messages").waitFor();
await sound(page, "confirm");
await picture(page, "replay");
await page.getByRole("button", { name: "Replay 12" }).click();
await page.getByText("It is over.").waitFor();
await page.getByText("12 seen published").waitFor();
await sound(page, "act");
await picture(page, "act");
await until("the update is published", () => published.includes("IN-FORMAT-3"));
tail.kill();
console.log(`found why in ${why} ms, replayed the group in ${Date.now() - fixed} ms`);

// The delivery is published now.
await page.goto(`${base}/delivery?id=IN-FORMAT-3&since=1h`);
await page.getByText("published", { exact: true }).first().waitFor();
await page.goto(`${base}/delivery?id=${encodeURIComponent("#shop-3")}&since=1h`);
await page.getByText("is a reference of").waitFor();
await page.getByText("published", { exact: true }).first().waitFor();
await sound(page, "delivery");
await picture(page, "delivery");

for (const [path, name] of [["/waiting", "waiting"], ["/subscribers", "subscribers"], ["/health", "health"], ["/acts", "acts"], ["/audit", "audit"], ["/delivery", "search"], [`/delivery?since=1h&id=${encodeURIComponent(HOSTILE)}`, "hostile search"], ["/nothing-there", "not found"]]) {
  refusalExpected = name === "not found";
  assert.equal((await page.goto(base + path)).status(), refusalExpected ? 404 : 200);
  await sound(page, name);
  if (["subscribers", "health", "audit"].includes(name)) await picture(page, name);
}
assert.ok((await page.goto(base + "/audit")) && (await page.getByText("replay").count()) > 1);

refusalExpected = false;
// One that the keyboard alone can use: the first stop leads to the content.
await page.goto(base + "/");
await page.keyboard.press("Tab");
assert.equal(await page.evaluate("document.activeElement.textContent"), "Skip to the content");
await page.keyboard.press("Enter");
assert.equal(await page.evaluate("document.activeElement.id"), "main");

// Dark, and narrow.
const phone = await open({ viewport: { width: 390, height: 844 }, colorScheme: "dark", storageState: await page.context().storageState() });
for (const path of ["/", "/parked", `/parked/telyport/${hostile[0].id}`, "/delivery?id=IN-FORMAT-3&since=1h", "/health", "/audit", "/acts"]) {
  await phone.goto(base + path);
  await sound(phone, `narrow and dark ${path}`);
}
await phone.goto(base + "/parked");
await picture(phone, "narrow-dark");

// Without a script everything is there but the updates.
const plain = await open({ javaScriptEnabled: false, storageState: await page.context().storageState() });
await plain.goto(base + "/");
await plain.getByRole("rowheader", { name: "telyport" }).waitFor();
await plain.goto(base + "/acts");
await plain.getByText("done").first().waitFor();
await plain.close();
assert.deepEqual(errors, [], "the browser's console");
refusalExpected = true;

// One who may only look.
const looker = await open();
await logIn(looker, "looker");
await looker.goto(base + "/parked");
assert.equal(await looker.getByRole("link", { name: /Replay/ }).count(), 0);
assert.equal((await looker.goto(`${base}/parked/replay?provider=telyport&all=1`)).status(), 403);
await looker.goto(`${base}/parked/telyport/${hostile[0].id}`);
assert.equal(await looker.getByRole("button", { name: "Show personal data" }).count(), 0);

// Another site's page cannot post here, and cannot show us in a frame.
const before = (await page.goto(base + "/acts")) && await page.locator("tbody tr").count();
const evil = await page.context().newPage();
await evil.route("http://evil.test/", (route) => route.fulfill({ contentType: "text/html", body: `<form action="${base}/parked/replay" method="post"><input name="provider" value="telyport"><input name="all" value="1"><button>go</button></form>` }));
await evil.goto("http://evil.test/");
const [answer] = await Promise.all([evil.waitForResponse((response) => response.request().method() === "POST"), evil.getByRole("button").click()]);
assert.ok([303, 403].includes(answer.status()), `${answer.status()}`);
await page.goto(base + "/acts");
assert.equal(await page.locator("tbody tr").count(), before, "nothing was done");

await page.getByRole("button", { name: "Log out" }).click();
await page.waitForURL(base + "/login");
assert.equal((await page.goto(base + "/")).url(), base + "/login?next=%2F");
await browser.close();
