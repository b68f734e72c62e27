"""``python -m greenkernel.runner``: what a site starts."""

from greenkernel.runner.main import main

if __name__ == "__main__":
    raise SystemExit(main())
