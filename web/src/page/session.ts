/**
 * Where the API is, and the key that opens it.
 *
 * Rule 1: the key goes only into the header of requests to this API. It is kept in
 * memory, and in this tab's session storage only if its owner wants that.
 *
 * Rule 2: after a 401 the page asks for a key. Refused requests are repeated when `round` has
 * grown.
 *
 * Rule 3: a guest's ticket, or one that shows a report, stands behind `#` in the address, which
 * browsers send to no server. It is used as the key, and not kept.
 */

const KEPT = 'wherry-key'

/** What the server wrote into the page. */
export interface Place {
  /** The address before `/chunked-upload`, absolute, without a slash at the end. */
  api: string
  /** Whether this server knows keys; a host application has a login of its own. */
  asksForKey: boolean
  /** Of a guest: what the link to this page carried. */
  ticket: string | null
  /** The assessment whose report the ticket shows; null for one that is for uploads. */
  shown?: string | null
  /** Whether the browser may keep files for uploads that are not over. */
  keepsFiles?: boolean
  /** The names of the metadata that are asked for of each file. */
  fields?: readonly string[]
}

export interface Access {
  key: string | null
  /** A request was refused, and waits for a key or a login. */
  isWanted: boolean
  /** Whether the last key was refused. */
  wasRefused: boolean
  /** Grows whenever refused requests should be repeated. */
  round: number
}

/** An error answer: its status and the fields of its problem document. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string,
  ) {
    super(message)
  }
}

export class Session {
  readonly place: Place
  private access: Access
  private readonly listeners = new Set<() => void>()

  constructor(place: Place) {
    this.place = place
    const key = place.ticket ?? (place.asksForKey ? kept() : null)
    this.access = { key, isWanted: false, wasRefused: false, round: 0 }
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  readonly now = (): Access => this.access

  get isGuest(): boolean {
    return this.place.ticket !== null
  }

  /** As `createUpload` wants them: asked again after a 401. */
  readonly headers = (): Record<string, string> =>
    this.access.key === null ? {} : { Authorization: `Bearer ${this.access.key}` }

  /** Try with this key from now on; `keep` it until the tab is closed. */
  giveKey(key: string, keep: boolean): void {
    keepKey(keep ? key : null)
    this.change({ key, isWanted: false, wasRefused: false, round: this.access.round + 1 })
  }

  /** Try again: the user says that the login is there now. */
  tryAgain(): void {
    this.change({ isWanted: false, round: this.access.round + 1 })
  }

  /** Forget the key. */
  leave(): void {
    keepKey(null)
    this.change({ key: null, isWanted: true, wasRefused: false })
  }

  /** A request of this round was refused; a newer key may be here by now. */
  refused(round: number): void {
    if (round !== this.access.round || this.access.isWanted) return
    if (this.access.key !== null && !this.isGuest) keepKey(null)
    this.change({ isWanted: true, wasRefused: this.access.key !== null })
  }

  /** Raises `Refusal`, and `TypeError` where there is no connection. */
  async get(path: string, signal?: AbortSignal): Promise<Response> {
    return this.ask('GET', path, signal)
  }

  async delete(path: string): Promise<void> {
    await this.ask('DELETE', path)
  }

  async json<T>(path: string, signal?: AbortSignal): Promise<T> {
    return (await this.get(path, signal)).json() as Promise<T>
  }

  async post<T>(path: string, value: unknown, signal?: AbortSignal): Promise<T> {
    return (await this.ask('POST', path, signal, JSON.stringify(value))).json() as Promise<T>
  }

  private async ask(
    method: string,
    path: string,
    signal?: AbortSignal,
    body?: string,
  ): Promise<Response> {
    const { round } = this.access
    const kind: Record<string, string> =
      body === undefined ? {} : { 'Content-Type': 'application/json' }
    const answer = await fetch(`${this.place.api}${path}`, {
      method,
      headers: { ...this.headers(), ...kind },
      body: body ?? null,
      cache: 'no-store',
      signal: signal ?? null,
    })
    if (answer.ok) return answer
    if (answer.status === 401) this.refused(round)
    throw await refusal(answer)
  }

  private change(more: Partial<Access>): void {
    this.access = { ...this.access, ...more }
    for (const listener of this.listeners) listener()
  }
}

async function refusal(answer: Response): Promise<Refusal> {
  let said: Record<string, unknown> = {}
  try {
    said = (await answer.json()) as Record<string, unknown>
  } catch {
    // A proxy's page, or nothing at all.
  }
  const text = (name: string) => (typeof said[name] === 'string' ? said[name] : '')
  const sentence = text('detail') || `The server answered with status ${answer.status}.`
  return new Refusal(answer.status, text('code'), sentence, text('hint'))
}

// A browser may forbid its storage; then the key is asked for after a reload.

function kept(): string | null {
  try {
    return sessionStorage.getItem(KEPT)
  } catch {
    return null
  }
}

function keepKey(key: string | null): void {
  try {
    if (key === null) sessionStorage.removeItem(KEPT)
    else sessionStorage.setItem(KEPT, key)
  } catch {
    return
  }
}

/** The link that lets whoever has it upload as a guest, through the page at this address. */
export function guestLink(page: string, ticket: string): string {
  const link = new URL(page)
  link.hash = new URLSearchParams({ ticket }).toString()
  return link.href
}

/** The link that shows this report to whoever has it. */
export function reportLink(page: string, ticket: string, assessmentId: string): string {
  const link = new URL(page)
  link.hash = new URLSearchParams({ report: assessmentId, ticket }).toString()
  return link.href
}

/**
 * What the server wrote into this document, and the ticket in its address. The address of the API
 * is relative to where the document stands.
 */
export function placeOf(document: Document): Place {
  const said = (name: string) =>
    document.querySelector(`meta[name="${name}"]`)?.getAttribute('content')
  const link = new URLSearchParams(document.location.hash.slice(1))
  const ticket = link.get('ticket')
  const api = new URL(said('wherry-api') ?? 'api/', document.baseURI)
  api.hash = api.search = ''
  return {
    api: api.href.replace(/\/+$/, ''),
    asksForKey: said('wherry-login') !== 'host',
    ticket,
    shown: ticket === null ? null : link.get('report'),
    keepsFiles: said('wherry-keep') !== 'nothing',
    fields: JSON.parse(said('wherry-fields') ?? '[]') as string[],
  }
}
