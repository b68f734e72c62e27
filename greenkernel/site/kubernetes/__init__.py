"""Sites that are namespaces of Kubernetes clusters."""
