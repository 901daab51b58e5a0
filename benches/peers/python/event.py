"""A webhook of Telyport as the event that Milepost publishes for it, as far as a program without memory can know."""

import time
from datetime import UTC, datetime

STATUSES = {
    "NEW": ("planned", "created", None),
    "STARTED": ("pickup", "assigned", "created"),
    "PICKUPREACHED": ("pickup", "pickup_arrived", "assigned"),
    "PICKUPCOMPLETED": ("transit", "picked_up", "pickup_arrived"),
    "DROPREACHED": ("dropoff", "dropoff_arrived", "picked_up"),
    "DROPCOMPLETED": ("closed", "delivered", "dropoff_arrived"),
}


def text(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def said(ms: int | None) -> dict | None:
    return ms and {"utc": text(ms), "original": str(ms)}


def present(fields: dict) -> dict:
    return {name: value for name, value in fields.items() if value is not None}


def event(event_id: str, account: str, receipt: str, traceparent: str | None, webhook: dict) -> tuple[str, int, dict]:
    """The routing key, the time in milliseconds, and the body."""
    data = webhook["data"]
    order, timestamp, updated = data["orderID"], webhook.get("timestamp"), data.get("updatedAt")
    phase, status, previous = STATUSES[data["status"]]
    now = int(time.time() * 1000)
    at = updated or timestamp or now
    more = data.get("additionalProperties")
    courier = more and {"name": more["agentName"], "phone": more["agentPhone"]}
    body = {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/milepost/telyport/{account}",
        "type": "com.milepost.delivery.updated.v1",
        "subject": order,
        "time": text(at),
        "datacontenttype": "application/json",
        "dataschema": "urn:milepost:schema:delivery-update:v1",
        "traceparent": traceparent,
        "data": present({
            "provider": "telyport",
            "account": account,
            "delivery_id": order,
            "status": status,
            "phase": phase,
            "raw_status": data["status"],
            "event_time": said(updated or timestamp),
            "times": {"timestamp": said(timestamp)} if updated and timestamp else None,
            "courier": courier,
            "references": present({
                "merchant_order": data.get("businessOrderID"),
                "temporary": data.get("temporaryOrderID"),
            }),
            "provider_event_id": webhook.get("webhookEventID"),
            "extra": {k: v for k, v in webhook.items() if k not in ("data", "timestamp", "webhookEventID")},
            "sequence": now,
            "order": "in_order",
            "changes": ["status", "courier", "reference"] if courier else ["status"],
            "previous_status": previous,
            "terminal": phase == "closed",
            "receipt_id": receipt,
            "received_at": text(now),
        }),
    }
    return f"telyport.{account}.{phase}.{status}", at, present(body)
