/**
 * A service worker: it puts the key of the page into the requests of a player, which cannot send one.
 * So a film of any size is played in ranges, and never held in memory.
 *
 * Rule 1: it asks the page that plays for the key, each time, and keeps nothing.
 *
 * Rule 2: it answers the requests of players for files of Wherry, and no others.
 */

interface Asked extends Event {
  readonly request: Request
  readonly clientId: string
  respondWith(answer: Promise<Response>): void
  waitUntil(done: Promise<unknown>): void
}

interface Worker {
  readonly clients: {
    claim(): Promise<void>
    get(id: string): Promise<{ postMessage(message: unknown, transfer: Transferable[]): void } | undefined>
  }
  skipWaiting(): Promise<void>
  addEventListener(kind: string, listen: (event: Asked) => void): void
}

/** Milliseconds within which a page tells the key. */
const SOON = 5000

const worker = self as unknown as Worker

worker.addEventListener('install', () => void worker.skipWaiting())
worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()))
// A page that was reloaded with the shift key has no worker until it asks for one.
worker.addEventListener('message', (event) => event.waitUntil(worker.clients.claim()))
worker.addEventListener('fetch', (event) => {
  const { destination, method, url } = event.request
  const isPlayer = destination === 'video' || destination === 'audio'
  if (isPlayer && method === 'GET' && new URL(url).pathname.includes('/chunked-upload/files/')) {
    event.respondWith(answer(event))
  }
})

async function answer({ request, clientId }: Asked): Promise<Response> {
  const headers = new Headers(await headersOf(clientId))
  const range = request.headers.get('range')
  if (range !== null) headers.set('Range', range)
  // Another request, because one of a player may have no such header.
  return fetch(request.url, { headers, cache: 'no-store', signal: request.signal })
}

async function headersOf(clientId: string): Promise<Record<string, string>> {
  const page = await worker.clients.get(clientId)
  if (page === undefined) return {}
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    const timer = setTimeout(() => resolve({}), SOON)
    port1.onmessage = ({ data }) => {
      clearTimeout(timer)
      resolve(data as Record<string, string>)
    }
    page.postMessage('wherry-headers', [port2])
  })
}
