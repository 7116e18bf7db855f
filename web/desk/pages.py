"""The review desk: its routes."""

from fastapi import APIRouter

import web.desk.items
import web.desk.queue
import web.desk.second
from web.sent import FROM_OUR_PAGES

router = APIRouter(include_in_schema=False, dependencies=FROM_OUR_PAGES)
for part in (web.desk.queue, web.desk.items, web.desk.second):
    router.include_router(part.router)
