import { Script } from './script.ts'

/**
 * `grant` of LIMITER.md, for one or more buckets at one point in time.
 *
 * KEYS: the epoch of the group, then the buckets. ARGV: 16 digits of the run_id of this server, the node that asks, then of each
 * bucket: requests per second, capacity, want, atLeast, lease in ms. Answers granted, remaining and retryAfterMs of each.
 *
 * Times are in microseconds since 1970: whole numbers below 2^53. A bucket is a msgpack array of run, tokens, time and when
 * each node last asked for more than there was; the epoch is one of run and time.
 */
export const GRANT = new Script(`
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local run, node = ARGV[1], ARGV[2]

local function read(key)
  local bytes = redis.call('GET', key)
  if not bytes then return nil end
  local isRead, value = pcall(cmsgpack.unpack, bytes)
  if isRead and type(value) == 'table' then return value end
  return nil
end

-- Another process than the one that wrote it, or nothing: all buckets that this process does not know begin to fill now.
local epoch = read(KEYS[1])
if not epoch or epoch[1] ~= run or type(epoch[2]) ~= 'number' then
  epoch = { run, now }
  redis.call('SET', KEYS[1], cmsgpack.pack(epoch))
end

local replies = {}
for i = 2, #KEYS do
  local at = 3 + (i - 2) * 5
  local rate, capacity, want = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local atLeast, lease = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]) * 1000
  local bucket = read(KEYS[i])
  local k, time, contenders
  if bucket and bucket[1] == run and type(bucket[2]) == 'number' and type(bucket[3]) == 'number' and type(bucket[4]) == 'table' then
    time = math.max(now, bucket[3])
    k = math.min(capacity, bucket[2] + rate * (time - bucket[3]) / 1000000)
    contenders = bucket[4]
  else
    time = math.max(now, epoch[2])
    k = math.min(capacity, rate * (time - epoch[2]) / 1000000)
    contenders = {}
  end

  local whole = math.floor(k)
  local granted = 0
  if want > k then
    local nodes, kept = 1, {}
    for other, last in pairs(contenders) do
      if other ~= node and now - last <= lease and nodes < 64 then
        nodes = nodes + 1
        kept[other] = last
      end
    end
    kept[node] = now
    contenders = kept
    if whole >= atLeast then granted = math.min(want, whole, math.max(atLeast, math.ceil(k / nodes))) end
  else
    granted = want
  end

  local left = k - granted
  local fullMs = (capacity - left) / rate * 1000
  redis.call('SET', KEYS[i], cmsgpack.pack({ run, left, time, contenders }), 'PX', string.format('%.0f', math.min(fullMs + lease / 1000 + 1000, 1e14)))

  local retryMs = 0
  if granted < want then
    -- One more than the whole part, so that waiting is enough whatever was rounded.
    local needed = granted == 0 and atLeast or 1
    retryMs = math.floor(math.max(0, needed - left) / rate * 1000 + (time - now) / 1000) + 1
  end
  replies[#replies + 1] = granted
  replies[#replies + 1] = math.floor(left)
  replies[#replies + 1] = math.min(retryMs, 1e15)
end
return replies
`)
