"""What runs in a slice, on an embedded site and in a pod alike: restore, execute, record, report, drain."""
