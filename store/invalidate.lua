-- invalidate.lua: what a change tells the nodes that hold a copy. It stands behind queue.lua.

-- invalidate tells every node that holds a copy, except one, that there is a newer version, or none, of a session.
local function invalidate(copies, except, node_prefix, all_nodes, id, counter)
  local message = 'i' .. id .. ' ' .. counter
  if copies == '*' then return publish(all_nodes, message) end
  for node in string.gmatch(copies, '%S+') do
    if node ~= except then publish(node_prefix .. node, message) end
  end
end
