-- invalidate.lua: the message to the nodes that hold a copy. It comes after queue.lua.

-- invalidate notifies every node that holds a copy, except one, that the session has a newer version or has ended.
local function invalidate(copies, except, node_prefix, all_nodes, id, counter)
  local message = 'i' .. id .. ' ' .. counter
  if copies == '*' then return publish(all_nodes, message) end
  for node in string.gmatch(copies, '%S+') do
    if node ~= except then publish(node_prefix .. node, message) end
  end
end
