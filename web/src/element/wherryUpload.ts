/**
 * `<wherry-upload>`: an upload for pages without a framework, and a field of forms.
 *
 *     <script type="module" src="./api/wherryUpload.js"></script>
 *     <form action="/talks" method="post">
 *       <wherry-upload name="video" endpoint="/api" accept="video/*" required></wherry-upload>
 *     </form>
 *
 * Rule 1: its value in a form is the id of the upload, once the file has arrived: one value for each
 * file. Until all have, its form is not submitted.
 *
 * Rule 2: an element that leaves the document sends nothing more. The server keeps what has arrived, and
 * the same file continues from there.
 *
 * Rule 3: no state is told by colour or by a number alone, and a change of state is told to those who
 * do not see it.
 */

import type { UploadDetails, UploadFailure, UploadOptions, UploadResult } from '../core'
import { Observed } from '../react/observed'

/** How many files are under way at once. */
const AT_ONCE = 3

/** What it says. Numbers are written by the function that gets them. */
export interface WherryWords {
  choose: string
  drop: string
  pause: string
  resume: string
  again: string
  cancel: string
  queued: string
  starting: string
  sending: string
  waiting(position: number | null): string
  retrying: string
  paused: string
  completing: string
  done: string
  cancelled: string
  failed: string
  notYet: string
}

export const words: WherryWords = {
  choose: 'Choose a file',
  drop: 'or drop it here',
  pause: 'Pause',
  resume: 'Resume',
  again: 'Try again',
  cancel: 'Cancel',
  queued: 'Waits for the files before it',
  starting: 'Starts',
  sending: 'Is being sent',
  waiting: (position) => (position === null ? 'Waits for the server' : `Waits at position ${position}`),
  retrying: 'Tries again',
  paused: 'Paused',
  completing: 'Is being checked',
  done: 'Complete',
  cancelled: 'Cancelled',
  failed: 'Failed',
  notYet: 'Wait until the upload is complete.',
}

/** `detail` of its events `wherry-progress`, `wherry-complete` and `wherry-failed`. */
export interface WherryEvent {
  file: File
  details: UploadDetails
  /** With `wherry-complete`. */
  result: UploadResult | null
  /** With `wherry-failed`. */
  failure: UploadFailure | null
}

const STYLE = `
:host { display: block; font: inherit }
:host([hidden]) { display: none }
.choose { border: 1px dashed; border-radius: .5rem; padding: 1rem; display: block; cursor: pointer }
.choose.over { border-style: solid }
.choose:focus-within { outline: 2px solid; outline-offset: 2px }
:host(:disabled) .choose { opacity: .5; cursor: default }
input { position: absolute; opacity: 0; width: 1px; height: 1px }
ul { list-style: none; margin: 0; padding: 0 }
li { display: grid; grid-template-columns: 1fr auto auto; gap: .25rem .5rem; align-items: center; margin-top: .75rem }
.name { overflow-wrap: anywhere }
progress { grid-column: 1 / -1; width: 100% }
.state { grid-column: 1 / -1 }
button { font: inherit }
`

type State = UploadDetails['state'] | 'queued'

const isMoving = (state: State): boolean => !['queued', 'paused', 'done', 'cancelled', 'failed'].includes(state)

/** One file of the element, and its line in the list. */
class Row {
  readonly upload: Observed
  readonly line = document.createElement('li')
  private readonly name = document.createElement('bdi')
  private readonly bar = document.createElement('progress')
  private readonly state = document.createElement('span')
  private readonly hold = document.createElement('button')
  private readonly cancel = document.createElement('button')
  isBegun = false

  constructor(
    readonly file: File,
    options: () => UploadOptions,
    private readonly words: WherryWords,
    private readonly changed: (row: Row) => void,
  ) {
    this.upload = new Observed(options)
    this.upload.subscribe(() => this.changed(this))
    this.name.textContent = file.name
    this.name.className = 'name'
    this.bar.max = 100
    this.bar.setAttribute('aria-label', file.name)
    this.state.className = 'state'
    this.state.setAttribute('role', 'status')
    for (const part of ['name', 'bar', 'state'] as const) this[part].part.add(part)
    for (const button of [this.hold, this.cancel]) {
      button.type = 'button'
      button.part.add('button')
    }
    this.hold.onclick = () => this.goOnOrPause()
    this.cancel.onclick = () => void this.end()
    this.line.append(this.name, this.hold, this.cancel, this.bar, this.state)
    this.draw()
  }

  get now(): State {
    const { details, failure } = this.upload.now()
    return failure ? 'failed' : (details?.state ?? (this.isCancelled ? 'cancelled' : 'queued'))
  }

  begin(): void {
    this.isBegun = true
    this.upload.start(this.file)
  }

  draw(): void {
    const { words, now } = this
    const { percent, details, failure } = this.upload.now()
    this.bar.value = percent
    this.line.dataset.state = now
    const sentence = failure?.message ?? details?.problem
    const word = now === 'waiting' ? words.waiting(details?.position ?? null) : words[now]
    const said = sentence ? `${word}: ${sentence}` : word
    if (this.state.textContent !== said) this.state.textContent = said
    this.label(this.hold, now === 'failed' ? words.again : now === 'paused' ? words.resume : words.pause)
    this.label(this.cancel, words.cancel)
    this.hold.hidden = ['queued', 'completing', 'done', 'cancelled'].includes(now)
    this.cancel.hidden = ['done', 'cancelled'].includes(now)
  }

  private isCancelled = false

  private goOnOrPause(): void {
    if (this.now === 'failed') this.upload.again()
    else if (this.now === 'paused') this.upload.resume()
    else this.upload.pause()
  }

  private async end(): Promise<void> {
    this.isCancelled = true
    if (this.isBegun) await this.upload.cancel()
    this.isBegun = true
    this.changed(this)
  }

  private label(button: HTMLButtonElement, text: string): void {
    if (button.textContent === text) return
    button.textContent = text
    button.setAttribute('aria-label', `${text}: ${this.file.name}`)
  }
}

export class WherryUpload extends HTMLElement {
  static readonly formAssociated = true
  static readonly observedAttributes = ['accept', 'multiple', 'required']

  /** What `createUpload` takes besides `endpoint`, like `headers`. Read when a file begins. */
  options: UploadOptions = {}
  /** To be set before a file is chosen. */
  words: WherryWords = words

  private readonly internals = this.attachInternals()
  private readonly input = document.createElement('input')
  private readonly zone = document.createElement('label')
  private readonly list = document.createElement('ul')
  private rows: Row[] = []

  constructor() {
    super()
    const style = document.createElement('style')
    style.textContent = STYLE
    this.input.type = 'file'
    this.input.onchange = () => {
      this.add([...(this.input.files ?? [])])
      this.input.value = '' // So that the same file can be chosen again.
    }
    this.zone.append(this.input)
    this.zone.className = 'choose'
    this.zone.part.add('choose')
    this.list.part.add('list')
    this.zone.ondragover = (event) => {
      event.preventDefault()
      this.zone.classList.add('over')
    }
    this.zone.ondragleave = () => this.zone.classList.remove('over')
    this.zone.ondrop = (event) => {
      event.preventDefault()
      this.zone.classList.remove('over')
      if (!this.input.disabled) this.add([...(event.dataTransfer?.files ?? [])])
    }
    const root = this.attachShadow({ mode: 'open', delegatesFocus: true })
    root.append(style, this.zone, this.list)
  }

  connectedCallback(): void {
    const { choose, drop } = this.words
    this.zone.replaceChildren(this.input, `${choose} ${drop}`)
    this.tellForm()
  }

  disconnectedCallback(): void {
    this.clear()
  }

  attributeChangedCallback(): void {
    this.input.accept = this.getAttribute('accept') ?? ''
    this.input.multiple = this.hasAttribute('multiple')
    this.tellForm()
  }

  formDisabledCallback(isDisabled: boolean): void {
    this.input.disabled = isDisabled
  }

  formResetCallback(): void {
    this.clear()
    this.tellForm()
  }

  /** Upload these files, as if the user had chosen them. Without `multiple`, the last one replaces all. */
  add(files: readonly File[]): void {
    const chosen = this.hasAttribute('multiple') ? files : files.slice(-1)
    if (chosen.length === 0) return
    if (!this.hasAttribute('multiple')) this.clear()
    const options = (): UploadOptions => {
      const endpoint = this.getAttribute('endpoint')
      return { ...this.options, ...(endpoint ? { endpoint } : null) }
    }
    for (const file of chosen) {
      const row = new Row(file, options, this.words, (changed) => this.changed(changed))
      this.rows.push(row)
      this.list.append(row.line)
    }
    this.beginNext()
    this.tellForm()
  }

  /** The ids of the uploads that are complete. */
  get value(): string[] {
    return this.rows.flatMap((row) => row.upload.now().result?.upload_id ?? [])
  }

  private clear(): void {
    for (const row of this.rows) row.upload.leave()
    this.rows = []
    this.list.replaceChildren()
  }

  private beginNext(): void {
    const moving = this.rows.filter((row) => row.isBegun && isMoving(row.now)).length
    const next = this.rows.find((row) => !row.isBegun)
    if (next && moving < AT_ONCE) next.begin() // Which comes back here, because it changes.
  }

  private changed(row: Row): void {
    if (!this.rows.includes(row)) return
    row.draw()
    const { details, result, failure } = row.upload.now()
    if (details) {
      const name = result ? 'wherry-complete' : failure ? 'wherry-failed' : 'wherry-progress'
      const detail: WherryEvent = { file: row.file, details, result, failure }
      this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }))
    }
    this.beginNext()
    this.tellForm()
  }

  private tellForm(): void {
    const name = this.getAttribute('name')
    const value = new FormData()
    if (name) for (const id of this.value) value.append(name, id)
    this.internals.setFormValue(name ? value : null)
    const isUnderWay = this.rows.some((row) => !['done', 'cancelled'].includes(row.now))
    const isMissing = this.hasAttribute('required') && this.value.length === 0
    if (isUnderWay || isMissing) {
      this.internals.setValidity({ valueMissing: true }, this.words.notYet, this.input)
    } else this.internals.setValidity({})
  }
}

customElements.define('wherry-upload', WherryUpload)

declare global {
  interface HTMLElementTagNameMap {
    'wherry-upload': WherryUpload
  }
}
