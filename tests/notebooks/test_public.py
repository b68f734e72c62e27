"""Examples that other projects ship, statement group by statement group through the magic, compared with a plain run.

They come from Debian's documentation packages and are read where they are unpacked; nothing of them is kept here.
"""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
