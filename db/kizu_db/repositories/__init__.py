"""One file a subject: each takes and gives plain values, and works inside the transaction of its unit."""
