"""One run under thousands of seeded fault schedules: the real conductor, on sites and a store in memory."""
