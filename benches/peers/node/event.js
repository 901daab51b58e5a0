// A webhook of Telyport as the event that Milepost publishes for it, as far as a program without memory can know.
const STATUSES = {
  NEW: ['planned', 'created'],
  STARTED: ['pickup', 'assigned', 'created'],
  PICKUPREACHED: ['pickup', 'pickup_arrived', 'assigned'],
  PICKUPCOMPLETED: ['transit', 'picked_up', 'pickup_arrived'],
  DROPREACHED: ['dropoff', 'dropoff_arrived', 'picked_up'],
  DROPCOMPLETED: ['closed', 'delivered', 'dropoff_arrived'],
};

const time = (ms) => ms && { utc: new Date(ms).toISOString(), original: String(ms) };

// The routing key, the time in milliseconds, and the body.
export function event(id, { account, receipt, traceparent, webhook }) {
  const { event: name, data, timestamp, webhookEventID, ...extra } = webhook;
  const { orderID, status, updatedAt, businessOrderID, temporaryOrderID, additionalProperties } = data;
  const [phase, word, previous] = STATUSES[status];
  const now = Date.now();
  const at = updatedAt ?? timestamp ?? now;
  const courier = additionalProperties && {
    name: additionalProperties.agentName,
    phone: additionalProperties.agentPhone,
  };
  const body = {
    specversion: '1.0',
    id,
    source: `/milepost/telyport/${account}`,
    type: 'com.milepost.delivery.updated.v1',
    subject: orderID,
    time: new Date(at).toISOString(),
    datacontenttype: 'application/json',
    dataschema: 'urn:milepost:schema:delivery-update:v1',
    traceparent,
    data: {
      provider: 'telyport',
      account,
      delivery_id: orderID,
      status: word,
      phase,
      raw_status: status,
      event_time: time(updatedAt ?? timestamp),
      times: updatedAt && timestamp && { timestamp: time(timestamp) },
      courier,
      references: { merchant_order: businessOrderID, temporary: temporaryOrderID },
      provider_event_id: webhookEventID,
      extra: { event: name, ...extra },
      sequence: now,
      order: 'in_order',
      changes: courier ? ['status', 'courier', 'reference'] : ['status'],
      previous_status: previous,
      terminal: phase === 'closed',
      receipt_id: receipt,
      received_at: new Date(now).toISOString(),
    },
  };
  return { key: `telyport.${account}.${phase}.${word}`, at, body };
}
