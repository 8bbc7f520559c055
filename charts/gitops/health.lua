-- Argo CD health of a GoBuildEnv (resource.customizations.health.gobuildenv.dev_GoBuildEnv).
-- Only the base library is used: `string` and `math` are not open by default.
local progressing = { status = "Progressing", message = "Waiting for the operator" }

if obj.metadata.deletionTimestamp ~= nil then
  return { status = "Progressing", message = "Being deleted" }
end
if obj.status == nil or obj.status.conditions == nil then
  return progressing
end
-- A status that speaks of an older spec says nothing of this one.
if obj.status.observedGeneration ~= obj.metadata.generation then
  return progressing
end

local ready, reconciling
for _, condition in ipairs(obj.status.conditions) do
  if condition.observedGeneration == nil or condition.observedGeneration == obj.metadata.generation then
    if condition.type == "Stalled" and condition.status == "True" then
      return { status = "Degraded", message = condition.message }
    elseif condition.type == "Reconciling" and condition.status == "True" then
      reconciling = condition
    elseif condition.type == "Ready" then
      ready = condition
    end
  end
end

if reconciling ~= nil then
  return { status = "Progressing", message = reconciling.message }
end
if ready == nil or ready.status == "Unknown" then
  return progressing
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
return { status = "Degraded", message = ready.message }
