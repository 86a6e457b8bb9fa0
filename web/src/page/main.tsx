import { createRoot } from 'preact/compat/client'
import { App } from './App'
import { speak } from './language'
import { placeOf, Session } from './session'
import './page.css'

// Another ticket is another guest.
window.addEventListener('hashchange', () => location.reload())

void speak(navigator.languages, document.documentElement).then(() => {
  createRoot(document.getElementById('page')!).render(<App session={new Session(placeOf(document))} />)
})
