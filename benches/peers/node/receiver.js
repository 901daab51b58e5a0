// The receiver that a Node team writes in an afternoon: check the signature, publish, await the confirm, answer 200.
//
// node receiver.js JSON, with what benches/driver/peers.rs passes. It prints "ready" once it listens.
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import amqp from 'amqplib';
import Fastify from 'fastify';

const { amqpUrl, host, port, secret, properties } = JSON.parse(process.argv[2]);

const publishing = await (await amqp.connect(amqpUrl)).createConfirmChannel();
const publish = (queue, body, options) => new Promise((resolve, reject) => {
  publishing.sendToQueue(queue, body, options, (error) => (error ? reject(error) : resolve()));
});

const app = Fastify();
app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => done(null, body));
app.post('/webhooks/:provider/:account', async (request, reply) => {
  const digest = createHmac('sha256', secret).update(request.body).digest();
  const signature = Buffer.from(request.headers['x-signature'] ?? '', 'hex');
  if (signature.length !== digest.length || !timingSafeEqual(signature, digest)) {
    return reply.code(401).send();
  }
  const options = { ...properties, messageId: properties.messageId && randomUUID() };
  if (properties.timestamp) options.timestamp = Math.floor(Date.now() / 1000);
  await publish(`floor.${request.params.provider}`, request.body, options);
  return reply.code(200).send();
});
await app.listen({ host, port });
console.log('ready');
