"""Two real Kubernetes sites and a real S3 server on one Linux machine, for the tests that need them."""
