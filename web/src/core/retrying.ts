/** Repeats a small request until it succeeds. */

import { Backoff } from './backoff'
import type { Control } from './control'
import { whatNext, type Verb } from './decisions'
import { UnexpectedAnswer, UploadFailure } from './errors'
import type { Environment } from './environment'

/** How long to try a server that has never answered (seconds): the address may be wrong. */
const FIRST_ANSWER = 30

export class Retrying {
  readonly backoff: Backoff
  /** Whether Wherry has answered at this address. */
  private isKnown = false

  /** `budget`: seconds without progress. `onTrouble` is called for each error, after the pause is set. */
  constructor(
    private readonly environment: Environment,
    private readonly control: Control,
    private readonly budget: number,
    private readonly onTrouble: (error: UploadFailure) => void,
  ) {
    this.backoff = new Backoff(Math.min(FIRST_ANSWER, budget))
  }

  /** Seconds until the next request may be sent. */
  get pause(): number {
    return Math.max(this.backoff.until - this.environment.now(), 0)
  }

  /**
   * The answer to `call`. Throws errors that repeating cannot mend, `Aborted` and `Paused`. After
   * an error that means `look`, the next `call` asks what the server has.
   *
   * `isProgress`: an answer ends the trouble.
   */
  async ask<T>(verb: Verb, call: () => Promise<T>, isProgress = true): Promise<T> {
    const { backoff, control, environment } = this
    for (;;) {
      await control.sleep(this.pause, () => this.pause === 0)
      const began = environment.now()
      try {
        const answer = await call()
        this.isKnown = true
        backoff.budget = this.budget
        if (isProgress) backoff.progressed(began)
        return answer
      } catch (error) {
        control.check()
        if (!(error instanceof UploadFailure)) throw error
        const next = whatNext(error, verb)
        const isWrongAddress = error instanceof UnexpectedAnswer && !this.isKnown
        if (isWrongAddress || !/wait|retry|look/.test(next)) throw error
        if (next === 'wait') backoff.waits(error, environment.now())
        else backoff.failed(error, began, environment.now(), environment.jitter())
        // Another process is completing the upload. That takes time, and is no trouble.
        if (error.code !== 'busy') this.onTrouble(error)
      }
    }
  }
}
