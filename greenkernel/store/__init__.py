"""Everything durable: blobs, runs, epochs, records and results in one object store, addressed by URL."""
