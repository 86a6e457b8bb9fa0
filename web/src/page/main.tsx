import { createRoot } from 'preact/compat/client'
import { App } from './App'
import { speak } from './language'
import { placeOf, Session } from './session'
import './page.css'

const place = placeOf(document)
// Another ticket is another guest.
window.addEventListener('hashchange', () => {
  if (placeOf(document).ticket !== place.ticket) location.reload()
})

void speak(navigator.languages, document.documentElement).then(() => {
  createRoot(document.getElementById('page')!).render(<App session={new Session(place)} />)
})
