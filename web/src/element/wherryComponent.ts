/**
 * `<wherry-upload>` in a page that Python writes: the component of Streamlit, and that of Gradio.
 *
 * Rule 1: Python gets the whole list of files that have arrived, whenever the list changes.
 *
 * Rule 2: a second call for the same place changes the element that is there, so that its uploads go on.
 */

import type { UploadOptions } from '../core'
import './wherryUpload'
import type { WherryEvent, WherryUpload } from './wherryUpload'

/** What Python says of the element. */
export interface Settings {
  endpoint: string
  accept: string
  multiple: boolean
  disabled: boolean
  headers: Record<string, string>
  metadata: Record<string, string>
  credentials: RequestCredentials
}

/** A file that has arrived, as Python gets it. */
export interface Arrived {
  id: string
  filename: string
  size: number
  assessment_id: string | null
}

type Tell = (files: Arrived[]) => void

class Place {
  private readonly element: WherryUpload = document.createElement('wherry-upload')
  private readonly arrived = new Map<string, Arrived>()
  private told: string[] = []
  private headers: Settings['headers'] = {}
  private tell: Tell = () => {}

  constructor(parent: ParentNode) {
    for (const name of ['wherry-progress', 'wherry-complete', 'wherry-failed']) {
      this.element.addEventListener(name, (event) => this.look((event as CustomEvent<WherryEvent>).detail))
    }
    parent.append(this.element)
  }

  set(settings: Settings, tell: Tell): void {
    const { endpoint, accept, multiple, disabled, metadata, credentials } = settings
    this.element.setAttribute('endpoint', endpoint)
    this.element.setAttribute('accept', accept)
    this.element.toggleAttribute('multiple', multiple)
    this.element.toggleAttribute('disabled', disabled)
    // A function, so that an upload that runs already gets a token that Python has renewed.
    const options: UploadOptions = { headers: () => this.headers, metadata, credentials }
    this.element.options = options
    this.headers = settings.headers
    this.tell = tell
  }

  clear(): void {
    if (this.told.length === 0) return // It is empty for Python, too, so nobody has emptied it.
    this.told = []
    this.element.replaceWith(this.element) // It leaves its uploads.
  }

  private look({ file, result }: WherryEvent): void {
    if (result) {
      const { upload_id: id, assessment_id } = result
      this.arrived.set(id, { id, filename: file.name, size: file.size, assessment_id })
    }
    const ids = this.element.value
    if (ids.join() === this.told.join()) return
    this.told = ids
    this.tell(ids.flatMap((id) => this.arrived.get(id) ?? []))
  }
}

const places = new WeakMap<ParentNode, Place>()

/** Show the element in `parent`, or change the one that is there. */
export function show(parent: ParentNode, settings: Settings, tell: Tell): void {
  let place = places.get(parent)
  if (!place) places.set(parent, (place = new Place(parent)))
  place.set(settings, tell)
}

/** Take away the files that the element in `parent` lists; those under way are left. */
export function clear(parent: ParentNode): void {
  places.get(parent)?.clear()
}

/** What Streamlit calls each time that its script has run. */
export default function component(given: {
  parentElement: ParentNode
  data: Settings
  setStateValue: (name: string, value: unknown) => void
}): void {
  show(given.parentElement, given.data, (files) => given.setStateValue('files', files))
}
