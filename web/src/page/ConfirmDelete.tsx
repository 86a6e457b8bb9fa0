/** Asks before bytes are deleted on the server: they cannot be brought back. */

import { t } from './language'
import { takeFocus } from './takeFocus'

/** Whether it is being asked; after `kept` the focus goes back to the button that asked. */
export type Asking = 'not yet' | 'now' | 'kept'

interface Props {
  question: string
  /** The words of the button that deletes nothing. */
  keep: string
  filename: string
  onKeep(): void
  onDelete(): void
}

export function ConfirmDelete({ question, keep, filename, onKeep, onDelete }: Props) {
  const name = <span className="unseen">: {filename}</span>
  return (
    <>
      <p role="alert">{question} {t.buttons.cannotBeUndone}</p>
      <div className="buttons">
        <button type="button" className="primary" ref={takeFocus} onClick={onKeep}>
          {keep}
          {name}
        </button>
        <button type="button" onClick={onDelete}>
          {t.buttons.yesDelete}
          {name}
        </button>
      </div>
    </>
  )
}
