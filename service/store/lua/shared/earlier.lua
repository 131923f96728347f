-- Included, after index, by accept: what earlier secrets make of the same submission; it runs nothing by itself.
-- `line.earlier` is a list of {persons, also, key, facts}, as of the line itself, but facts: name ► {name, fingerprint}
-- under that secret.

local function under_each_secret(line)
  local all = {line}
  for _, said in ipairs(line.earlier or {}) do all[#all + 1] = said end
  return all
end

-- Gives what a lead said under an earlier secret, and says again, the name and the fingerprint that it has now.
local function adopt(line, facts)
  for _, said in ipairs(line.earlier or {}) do
    for name, before in pairs(said.facts or {}) do
      local known, fact = facts[before[1]], line.facts[name]
      if known and known[1] == before[2] then
        facts[before[1]] = nil
        -- A value is sealed for its name: under another one it is that of this submission.
        facts[name] = {fact[1], before[1] == name and known[2] or fact[2], known[3]}
      elseif known and before[1] ~= name and line.at >= known[3] then
        facts[before[1]] = nil -- said anew, under another name
      end
    end
  end
end
