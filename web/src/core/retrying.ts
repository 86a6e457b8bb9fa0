/** A small request, repeated until it is answered. */

import type { Control } from './control'
import { whatNext, type Verb } from './decisions'
import { UnexpectedAnswer, UploadFailure } from './errors'
import { Patience } from './plan'
import type { World } from './world'

/** Seconds of trying to reach a server that has not answered yet: the address may be wrong. */
const FIRST_ANSWER = 30

export class Retrying {
  readonly patience: Patience
  /** Whether it is Wherry that answers at this address. */
  private isKnown = false

  /** `budget`: seconds without progress; `onTrouble` hears of each error, the pause being set. */
  constructor(
    private readonly world: World,
    private readonly control: Control,
    private readonly budget: number,
    private readonly onTrouble: (error: UploadFailure) => void,
  ) {
    this.patience = new Patience(Math.min(FIRST_ANSWER, budget))
  }

  /** Seconds until something may be sent. */
  get pause(): number {
    return Math.max(this.patience.until - this.world.now(), 0)
  }

  /**
   * What `call` gives. Throws what repeating cannot mend, `Aborted` and `Paused`.
   *
   * `isProgress`: that it gets through ends the trouble.
   */
  async ask<T>(verb: Verb, call: () => Promise<T>, isProgress = true): Promise<T> {
    const { patience, control, world } = this
    for (;;) {
      await control.sleep(this.pause, () => this.pause === 0)
      const began = world.now()
      try {
        const answer = await call()
        this.isKnown = true
        patience.budget = this.budget
        if (isProgress) patience.progressed(began)
        return answer
      } catch (error) {
        control.check()
        if (!(error instanceof UploadFailure)) throw error
        const next = whatNext(error, verb)
        const isWrongAddress = error instanceof UnexpectedAnswer && !this.isKnown
        if (isWrongAddress || (next !== 'wait' && next !== 'retry')) throw error
        if (next === 'wait') patience.waits(error, world.now())
        else patience.failed(error, began, world.now(), world.jitter())
        // Somebody else is completing it: that takes its time, and is no trouble.
        if (error.code !== 'busy') this.onTrouble(error)
      }
    }
  }
}
