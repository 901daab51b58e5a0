// The worker that a Node team writes in an afternoon: parse, SET NX, publish confirmed, SET, acknowledge. It has no
// leases, no order and no retries, and it loses an event when it dies between its first SET and its publish.
//
// node worker.js JSON, with what benches/driver/peers.rs passes. It prints "ready" once it consumes.
import { createHash } from 'node:crypto';
import amqp from 'amqplib';
import Redis from 'ioredis';
import { event } from './event.js';

const settings = JSON.parse(process.argv[2]);
const { amqpUrl, redisUrl, queue, exchange, prefetch, traceparent, properties } = settings;
const FORTNIGHT = 14 * 24 * 3600;

const redis = new Redis(redisUrl);
const consuming = await (await amqp.connect(amqpUrl)).createChannel();
const publishing = await (await amqp.connect(amqpUrl)).createConfirmChannel();

const publish = (key, body, options) => new Promise((resolve, reject) => {
  publishing.publish(exchange, key, body, options, (error) => (error ? reject(error) : resolve()));
});

async function handle(message) {
  const webhook = JSON.parse(message.content);
  const { orderID, status, updatedAt } = webhook.data;
  const id = createHash('sha256').update(`${orderID} ${status} ${updatedAt}`).digest('hex').slice(0, 32);
  if (await redis.set(`node:${id}`, 'claimed', 'EX', FORTNIGHT, 'NX')) {
    const { messageId: receipt, correlationId, headers } = message.properties;
    const account = headers?.['mp-account'] ?? correlationId ?? 'default';
    const { key, at, body } = event(id, { account, receipt, traceparent, webhook });
    const options = { ...properties, messageId: properties.messageId && id };
    if (properties.timestamp) options.timestamp = Math.floor(at / 1000);
    await publish(key, Buffer.from(JSON.stringify(body)), options);
    await redis.set(`node:${id}`, 'done', 'EX', FORTNIGHT);
  }
  consuming.ack(message);
}

await consuming.prefetch(prefetch);
await consuming.consume(queue, (message) => {
  handle(message).catch((error) => {
    console.error(error);
    process.exit(1);
  });
});
console.log('ready');
