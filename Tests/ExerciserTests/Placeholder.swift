// Placeholder until the suite's first file stands here; remove it then.
