"""The use cases. They know ports and the domain, and neither Faust nor aiohttp nor Redis nor aiokafka."""
