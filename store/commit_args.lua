-- commit_args.lua: the arguments of commit.lua by name. args in commit_args.go lists them in this order.

-- arguments returns them as a table. Each list begins with its length. A commit that only sets values ends after the
-- first list, and c.more is false.
local function arguments(argv)
  local c = {
    node_prefix = argv[1],
    all_nodes = argv[2], -- channel
    grant_ms = argv[3],
    register = argv[4] ~= '', -- the node, in the directory of copies
    token = argv[5], -- of the lock ('' = none)
    keep_ms = argv[6], -- to keep the lock for if the queue is empty ('' = free it)
    id = argv[7],
    mode = argv[8], -- 'create' | 'whole' (nothing may have changed) | 'keys' (only what is listed)
    expected = argv[9], -- version at the open
    tag = argv[10], -- of this commit
    node = argv[11], -- of the caller ('' = it keeps no copies)
    again = argv[12] ~= '', -- this commit was sent before and not answered
  }
  local at = 12
  local function list(width)
    local items, first = {}, at + 2
    at = at + 1 + width * argv[at + 1]
    for i = first, at do items[i - first + 1] = argv[i] end
    return items
  end
  c.set = list(3) -- key, ms to live or '', data
  c.more = argv[at + 1] ~= nil
  if not c.more then return c end

  c.rule = argv[at + 1] -- for the replaced secret ('' = not rotated)
  c.rule_ms = argv[at + 2] -- until it ends
  c.lifetime_ms = argv[at + 3] -- from now ('' = as it was, 0 = none)
  c.user_changed = argv[at + 4] ~= ''
  c.keys_changed = argv[at + 5] ~= '' -- some were added or removed
  c.epoch = argv[at + 6] -- stamp of e at the open
  c.key_set = argv[at + 7] -- stamp of k at the open ('' = need not match)
  at = at + 7
  c.meta = list(2) -- field, value
  c.delete = list(1) -- key
  c.checks = list(2) -- key, stamp that must match or ''
  return c
end
