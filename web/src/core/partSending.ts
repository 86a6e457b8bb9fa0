/**
 * The parts of one upload on their way to the object store: address, bytes, report.
 *
 * Rule 1: the decisions are in `direct.ts` and `plan.ts`. This file asks, sends and reports.
 *
 * Rule 2: each try gets an address of its own, so no old address is ever used.
 */

import type { Context } from './context'
import type { Part } from './digest'
import { failureOf, type DirectWay, type PartAddress, type StoreFailure } from './direct'
import { ConnectionLost, Refused, UploadFailure } from './errors'
import { Gathering } from './gathering'
import type { Range } from './types'
import type { Sent } from './wire'

/** The server wants this part in chunks, or has no such route. */
const NOT_DIRECT = ['bad-request', 'not-found', 'method-not-allowed', '']

/** The store has not taken the part, and it may be tried again. */
export class StoreFailed extends UploadFailure {}

/** The part has to go in chunks. `isAll`: so does everything else of this upload. */
export class InChunks extends Error {
  constructor(readonly isAll: boolean) {
    super()
  }
}

export class PartSending {
  private readonly addresses: Gathering<bigint, Map<number, PartAddress>>
  /** What the server still lacks; or its refusal, after which it has recorded the other parts. */
  private readonly reports: Gathering<null, Range[] | Refused>

  constructor(
    private readonly context: Context,
    private readonly way: DirectWay,
    uploadId: string,
  ) {
    const { control, retrying, wire } = context
    // A pause ends these requests, too: what the server has recorded then, its status says.
    const signal = control.halt
    this.addresses = new Gathering((crcs) =>
      retrying.ask('status', () => wire.addresses(uploadId, crcs, signal), false),
    )
    this.reports = new Gathering((numbers) =>
      retrying.ask('status', () =>
        wire.report(uploadId, [...numbers.keys()], signal).catch((error: unknown) => {
          // To repeat this report would not help.
          if (error instanceof Refused && error.code === 'parts-missing') return error
          throw error
        }),
      ),
    )
  }

  /**
   * Returns what the server still lacks; null if it has the part already.
   *
   * Throws `StoreFailed`, `InChunks`, and other failures of Wherry itself.
   */
  async send(number: number, part: Part, signal: AbortSignal, onSent: Sent): Promise<Range[] | null> {
    const address = await this.addressOf(number, part.crc)
    if (!address) return null
    // Another part may have found that out meanwhile.
    if (!this.way.isOpen) throw new InChunks(true)
    const began = this.context.environment.now()
    await this.put(address, part.range, signal, onSent, began)
    this.way.passed(began)
    const reported = await this.reports.ask(number, null)
    if (!(reported instanceof Refused)) return reported
    const { parts } = reported.facts
    if (Array.isArray(parts) && !parts.includes(number)) return null
    throw this.failed(404, began, 'The object store has taken the part, and does not have it.')
  }

  private async addressOf(number: number, crc: bigint): Promise<PartAddress | undefined> {
    try {
      return (await this.addresses.ask(number, crc)).get(number)
    } catch (error) {
      if (!(error instanceof Refused) || !NOT_DIRECT.includes(error.code)) throw error
      throw new InChunks(error.code !== 'bad-request' || error.facts['field'] !== 'parts')
    }
  }

  private async put(
    address: PartAddress,
    range: Range,
    signal: AbortSignal,
    onSent: Sent,
    began: number,
  ): Promise<void> {
    const { source, wire } = this.context
    let answer
    try {
      answer = await wire.put(address, source.slice(range), signal, onSent)
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error
      // If the file can no longer be read, the browser reports a broken connection.
      await source.checkReadable()
      // A browser that is offline says nothing about the store.
      if (error.code === 'offline') throw new StoreFailed(error.message, error)
      throw this.failed('network', began, error.message)
    }
    if (answer.status >= 300) {
      const message = `The object store answers with status ${answer.status}.`
      throw this.failed(failureOf(answer), began, message)
    }
  }

  private failed(failure: StoreFailure, began: number, message: string): Error {
    const now = this.context.environment.now()
    if (!this.way.failed(failure, began, now)) return new InChunks(true)
    return new StoreFailed(message, { code: 'store-failed', retryable: true })
  }
}
