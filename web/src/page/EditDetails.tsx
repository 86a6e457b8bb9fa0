/** A form for what a file is called on the server, and for what else the server wants to know of it. */

import { useEffect, useId, useState } from 'preact/compat'
import { t } from './language'
import { nameProblem } from './names'
import type { Item, Uploads } from './uploads'

/** In characters; a longer text is refused: `LONGEST_TEXT` in `core/names.py`. */
const LONGEST = 1024

interface Props {
  item: Item
  uploads: Uploads
  onClose(): void
}

export function EditDetails({ item, uploads, onClose }: Props) {
  const [problem, setProblem] = useState<string | null>(null)
  const id = useId()
  useEffect(() => {
    uploads.holdForEdit(item, true)
    return () => uploads.holdForEdit(item, false)
  }, [])
  const save = (form: HTMLFormElement) => {
    const said = new FormData(form)
    const value = (name: string) => String(said.get(name)).trim()
    const called = value('called')
    const wrong = nameProblem(called)
    setProblem(wrong)
    if (wrong !== null) return form.querySelector('input')!.focus()
    const details = uploads.fields.map((field, n) => [field, value(`field-${n}`)] as const)
    uploads.edit(item, called, Object.fromEntries(details.filter(([, text]) => text !== '')))
    onClose()
  }
  return (
    <form
      className="edit"
      aria-label={t.edit.label(item.name)}
      onSubmit={(event) => {
        event.preventDefault()
        save(event.currentTarget)
      }}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose()
      }}
    >
      <label>
        {t.edit.name}
        <input
          ref={selectName}
          name="called"
          defaultValue={item.called}
          dir="auto"
          autoComplete="off"
          aria-invalid={problem !== null}
          aria-describedby={problem === null ? undefined : id}
        />
      </label>
      {problem !== null && (
        <p id={id} className="problem" role="alert">
          {t.refusal.name(problem)}
        </p>
      )}
      {uploads.fields.map((field, n) => (
        <label key={field}>
          <bdi>{field}</bdi>
          <input
            name={`field-${n}`}
            defaultValue={item.metadata[field] ?? ''}
            dir="auto"
            maxLength={LONGEST}
            autoComplete="off"
          />
        </label>
      ))}
      <div className="buttons">
        <button type="submit" className="primary">
          {t.edit.save}
        </button>
        <button type="button" onClick={onClose}>
          {t.edit.discard}
        </button>
      </div>
    </form>
  )
}

/** Focus the field, with the name selected without its ending: that is seldom to be changed. */
function selectName(field: HTMLInputElement | null): void {
  if (field === null) return
  field.focus()
  const dot = field.value.lastIndexOf('.')
  field.setSelectionRange(0, dot > 0 ? dot : field.value.length)
}
