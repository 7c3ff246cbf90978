import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, RedisServer } from './redis-server.ts'

const MASTER = 'penstock'
const SLOTS = 16_384

/** Asks again until `isDone`. */
export async function until(isDone: () => boolean | Promise<boolean>): Promise<void> {
  while (!await isDone()) await new Promise(resolve => setTimeout(resolve, 20))
}

/** A master, its replica, and one Sentinel that promotes the replica when the master is gone for 300 ms. */
export class SentinelGroup {
  readonly name = MASTER
  readonly first: RedisServer
  readonly second: RedisServer
  readonly sentinel: RedisServer

  private constructor(first: RedisServer, second: RedisServer, sentinel: RedisServer) {
    this.first = first
    this.second = second
    this.sentinel = sentinel
  }

  static async start(): Promise<SentinelGroup> {
    const first = await RedisServer.start({ args: ['--repl-diskless-sync-delay', '0'] })
    const second = await RedisServer.start({ args: ['--replicaof', '127.0.0.1', String(first.port)] })
    await until(async () => /master_link_status:up/.test(String(await second.command('INFO', 'replication'))))
    const sentinel = await RedisServer.start({
      file: (folder, port) => {
        const file = join(folder, 'sentinel.conf')
        writeFileSync(file, [
          `port ${port}`, `sentinel monitor ${MASTER} 127.0.0.1 ${first.port} 1`, `sentinel down-after-milliseconds ${MASTER} 300`,
          `sentinel failover-timeout ${MASTER} 1000`, `sentinel parallel-syncs ${MASTER} 1`, '',
        ].join('\n'))
        return file
      },
      args: ['--sentinel'],
    })
    await until(async () => {
      const replicas = await sentinel.command('SENTINEL', 'REPLICAS', MASTER)
      return Array.isArray(replicas) && replicas.length === 1
    })
    return new SentinelGroup(first, second, sentinel)
  }

  /** `sentinel` of the configuration. */
  get config(): { sentinel: { name: string; nodes: string[] } } {
    return { sentinel: { name: MASTER, nodes: [this.sentinel.address] } }
  }

  /** Has the Sentinel promote the other server, with the old master alive. Answers when it has begun. */
  async failOver(): Promise<void> {
    await this.sentinel.command('SENTINEL', 'FAILOVER', MASTER)
  }

  async stop(): Promise<void> {
    await Promise.all([this.sentinel.stop(), this.first.stop(), this.second.stop()])
  }
}

/** Masters of a Redis Cluster without replicas; the slots of one that is killed are away, the others serve on. */
export class RedisClusterServers {
  readonly servers: readonly RedisServer[]

  private constructor(servers: readonly RedisServer[]) {
    this.servers = servers
  }

  static async start(count = 3): Promise<RedisClusterServers> {
    const servers: RedisServer[] = []
    for (let i = 0; i < count; i += 1) {
      const busPort = await freePort()
      servers.push(await RedisServer.start({
        args: ['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', '500', '--cluster-require-full-coverage', 'no'],
      }))
    }
    for (const [index, server] of servers.entries()) {
      const first = Math.ceil(index * SLOTS / count)
      await server.command('CLUSTER', 'ADDSLOTSRANGE', first, Math.ceil((index + 1) * SLOTS / count) - 1)
      await server.command('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
    }
    for (const server of servers.slice(1)) {
      const busPort = Number(((await server.command('CONFIG', 'GET', 'cluster-port')) as string[])[1])
      await servers[0]!.command('CLUSTER', 'MEET', '127.0.0.1', server.port, busPort)
    }
    const cluster = new RedisClusterServers(servers)
    await until(async () => (await Promise.all(servers.map(server => cluster.#isWhole(server)))).every(Boolean))
    return cluster
  }

  /** `cluster` of the configuration. */
  get config(): { cluster: string[] } {
    return { cluster: this.servers.map(server => server.address) }
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map(server => server.stop()))
  }

  async #isWhole(server: RedisServer): Promise<boolean> {
    const info = String(await server.command('CLUSTER', 'INFO'))
    return info.includes('cluster_state:ok') && info.includes(`cluster_size:${this.servers.length}`) && info.includes(`cluster_slots_ok:${SLOTS}`)
  }
}
