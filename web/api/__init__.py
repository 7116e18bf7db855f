"""HTTP for producers: jobs, batches, events, reviews, webhooks. Versioned under /v1."""
