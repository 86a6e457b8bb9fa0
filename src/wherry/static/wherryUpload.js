/*
 * Wherry's element <wherry-upload> 0.1.0.dev0. MIT licence.
 *
 * Put it beside chunkedUploadApi.js, which it imports.
 *
 *   <script type="module" src="./api/wherryUpload.js"><\/script>
 *   <wherry-upload name="video" endpoint="/api" accept="video/*" required></wherry-upload>
 *
 * It is made from TypeScript; change it there (web/ in the repository), not here.
 */
import { UploadFailure, createUpload, leave } from "./chunkedUploadApi.js";
// src/react/observed.ts
/**
 * One upload as something that is shown: a value that changes, and whoever wants to know of it.
 *
 * Rule 1: a new state is told at once, new numbers at most ten times a second.
 *
 * Rule 2: nothing here needs React, so an upload may go on while no component shows it.
 */
/** How often new numbers are told, in milliseconds. */
var INTERVAL = 100;
var NOTHING = {
	file: null,
	percent: 0,
	details: null,
	uploadId: null,
	result: null,
	failure: null,
	early: null
};
var Observed = class {
	/** `options`: asked for at each `start`; its `onProgress` and `onEarly` when they are told. */
	constructor(options) {
		this.options = options;
		this.shown = NOTHING;
		this.current = null;
		this.listeners = /* @__PURE__ */ new Set();
		this.subscribe = (listener) => {
			this.listeners.add(listener);
			return () => this.listeners.delete(listener);
		};
		this.now = () => this.shown;
		this.start = (file) => {
			this.leave();
			const { onProgress, ...rest } = this.options();
			let state = "";
			let percent = 0;
			const upload = createUpload(file, {
				...rest,
				onEarly: (early) => {
					this.options().onEarly?.(early);
					this.change(upload, { early });
				},
				onProgress: (now, details) => {
					this.options().onProgress?.(now, details);
					if (this.current !== upload) return;
					percent = now;
					if (details.state !== state) {
						state = details.state;
						this.change(upload, { percent });
					} else this.timer ??= setTimeout(() => this.change(upload, { percent }), INTERVAL);
				}
			});
			this.current = upload;
			this.shown = {
				...NOTHING,
				file
			};
			this.run(upload);
		};
		this.again = () => {
			if (this.current) this.run(this.current);
		};
		this.pause = () => this.current?.pause();
		this.resume = () => this.current?.resume();
		this.cancel = async () => {
			const upload = this.current;
			if (!upload) return;
			try {
				await upload.cancel();
			} catch {}
			this.change(upload, {
				details: {
					...upload.details,
					state: "cancelled"
				},
				failure: null
			});
		};
	}
	/** Send nothing more. The server keeps what has arrived. */
	leave() {
		clearTimeout(this.timer);
		this.timer = void 0;
		const { current } = this;
		this.current = null;
		if (current) leave(current);
	}
	run(upload) {
		this.change(upload, { failure: null });
		upload.start().then((result) => this.change(upload, {
			result,
			percent: 100
		}), (error) => {
			const cancelled = upload.details.state === "cancelled";
			this.change(upload, { failure: cancelled ? null : asFailure(error) });
		});
	}
	change(upload, more) {
		if (this.current !== upload) return;
		clearTimeout(this.timer);
		this.timer = void 0;
		const { details, uploadId } = upload;
		this.shown = {
			...this.shown,
			details,
			uploadId,
			...more
		};
		for (const listener of [...this.listeners]) listener();
	}
};
function asFailure(error) {
	if (error instanceof UploadFailure) return error;
	const message = error instanceof Error ? error.message : String(error);
	return new UploadFailure(message, { cause: error });
}
// src/element/wherryUpload.ts
/** How many files are under way at once. */
var AT_ONCE = 3;
var words = {
	choose: "Choose a file",
	drop: "or drop it here",
	pause: "Pause",
	resume: "Resume",
	again: "Try again",
	cancel: "Cancel",
	queued: "Waits for the files before it",
	starting: "Starts",
	sending: "Is being sent",
	waiting: (position) => position === null ? "Waits for the server" : `Waits at position ${position}`,
	retrying: "Tries again",
	paused: "Paused",
	completing: "Is being checked",
	done: "Complete",
	cancelled: "Cancelled",
	failed: "Failed",
	notYet: "Wait until the upload is complete."
};
var STYLE = `
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
`;
var isMoving = (state) => ![
	"queued",
	"paused",
	"done",
	"cancelled",
	"failed"
].includes(state);
/** One file of the element, and its line in the list. */
var Row = class {
	constructor(file, options, words, changed) {
		this.file = file;
		this.words = words;
		this.changed = changed;
		this.line = document.createElement("li");
		this.name = document.createElement("bdi");
		this.bar = document.createElement("progress");
		this.state = document.createElement("span");
		this.hold = document.createElement("button");
		this.cancel = document.createElement("button");
		this.isBegun = false;
		this.isCancelled = false;
		this.upload = new Observed(options);
		this.upload.subscribe(() => this.changed(this));
		this.name.textContent = file.name;
		this.name.className = "name";
		this.bar.max = 100;
		this.bar.setAttribute("aria-label", file.name);
		this.state.className = "state";
		this.state.setAttribute("role", "status");
		for (const part of [
			"name",
			"bar",
			"state"
		]) this[part].part.add(part);
		for (const button of [this.hold, this.cancel]) {
			button.type = "button";
			button.part.add("button");
		}
		this.hold.onclick = () => this.goOnOrPause();
		this.cancel.onclick = () => void this.end();
		this.line.append(this.name, this.hold, this.cancel, this.bar, this.state);
		this.draw();
	}
	get now() {
		const { details, failure } = this.upload.now();
		return failure ? "failed" : details?.state ?? (this.isCancelled ? "cancelled" : "queued");
	}
	begin() {
		this.isBegun = true;
		this.upload.start(this.file);
	}
	draw() {
		const { words, now } = this;
		const { percent, details, failure } = this.upload.now();
		this.bar.value = percent;
		this.line.dataset.state = now;
		const sentence = failure?.message ?? details?.problem;
		const word = now === "waiting" ? words.waiting(details?.position ?? null) : words[now];
		const said = sentence ? `${word}: ${sentence}` : word;
		if (this.state.textContent !== said) this.state.textContent = said;
		this.label(this.hold, now === "failed" ? words.again : now === "paused" ? words.resume : words.pause);
		this.label(this.cancel, words.cancel);
		this.hold.hidden = [
			"queued",
			"completing",
			"done",
			"cancelled"
		].includes(now);
		this.cancel.hidden = ["done", "cancelled"].includes(now);
	}
	goOnOrPause() {
		if (this.now === "failed") this.upload.again();
		else if (this.now === "paused") this.upload.resume();
		else this.upload.pause();
	}
	async end() {
		this.isCancelled = true;
		if (this.isBegun) await this.upload.cancel();
		this.isBegun = true;
		this.changed(this);
	}
	label(button, text) {
		if (button.textContent === text) return;
		button.textContent = text;
		button.setAttribute("aria-label", `${text}: ${this.file.name}`);
	}
};
var WherryUpload = class extends HTMLElement {
	static {
		this.formAssociated = true;
	}
	static {
		this.observedAttributes = [
			"accept",
			"multiple",
			"required"
		];
	}
	constructor() {
		super();
		this.options = {};
		this.words = words;
		this.internals = this.attachInternals();
		this.input = document.createElement("input");
		this.zone = document.createElement("label");
		this.list = document.createElement("ul");
		this.rows = [];
		const style = document.createElement("style");
		style.textContent = STYLE;
		this.input.type = "file";
		this.input.onchange = () => {
			this.add([...this.input.files ?? []]);
			this.input.value = "";
		};
		this.zone.append(this.input);
		this.zone.className = "choose";
		this.zone.part.add("choose");
		this.list.part.add("list");
		this.zone.ondragover = (event) => {
			event.preventDefault();
			this.zone.classList.add("over");
		};
		this.zone.ondragleave = () => this.zone.classList.remove("over");
		this.zone.ondrop = (event) => {
			event.preventDefault();
			this.zone.classList.remove("over");
			if (!this.input.disabled) this.add([...event.dataTransfer?.files ?? []]);
		};
		this.attachShadow({
			mode: "open",
			delegatesFocus: true
		}).append(style, this.zone, this.list);
	}
	connectedCallback() {
		const { choose, drop } = this.words;
		this.zone.replaceChildren(this.input, `${choose} ${drop}`);
		this.tellForm();
	}
	disconnectedCallback() {
		this.clear();
	}
	attributeChangedCallback() {
		this.input.accept = this.getAttribute("accept") ?? "";
		this.input.multiple = this.hasAttribute("multiple");
		this.tellForm();
	}
	formDisabledCallback(isDisabled) {
		this.input.disabled = isDisabled;
	}
	formResetCallback() {
		this.clear();
		this.tellForm();
	}
	/** Upload these files, as if the user had chosen them. Without `multiple`, the last one replaces all. */
	add(files) {
		const chosen = this.hasAttribute("multiple") ? files : files.slice(-1);
		if (chosen.length === 0) return;
		if (!this.hasAttribute("multiple")) this.clear();
		const options = () => {
			const endpoint = this.getAttribute("endpoint");
			return {
				...this.options,
				...endpoint ? { endpoint } : null
			};
		};
		for (const file of chosen) {
			const row = new Row(file, options, this.words, (changed) => this.changed(changed));
			this.rows.push(row);
			this.list.append(row.line);
		}
		this.beginNext();
		this.tellForm();
	}
	/** The ids of the uploads that are complete. */
	get value() {
		return this.rows.flatMap((row) => row.upload.now().result?.upload_id ?? []);
	}
	clear() {
		for (const row of this.rows) row.upload.leave();
		this.rows = [];
		this.list.replaceChildren();
	}
	beginNext() {
		const moving = this.rows.filter((row) => row.isBegun && isMoving(row.now)).length;
		const next = this.rows.find((row) => !row.isBegun);
		if (next && moving < AT_ONCE) next.begin();
	}
	changed(row) {
		if (!this.rows.includes(row)) return;
		row.draw();
		const { details, result, failure } = row.upload.now();
		if (details) {
			const name = result ? "wherry-complete" : failure ? "wherry-failed" : "wherry-progress";
			const detail = {
				file: row.file,
				details,
				result,
				failure
			};
			this.dispatchEvent(new CustomEvent(name, {
				detail,
				bubbles: true,
				composed: true
			}));
		}
		this.beginNext();
		this.tellForm();
	}
	tellForm() {
		const name = this.getAttribute("name");
		const value = new FormData();
		if (name) for (const id of this.value) value.append(name, id);
		this.internals.setFormValue(name ? value : null);
		const isUnderWay = this.rows.some((row) => !["done", "cancelled"].includes(row.now));
		const isMissing = this.hasAttribute("required") && this.value.length === 0;
		if (isUnderWay || isMissing) this.internals.setValidity({ valueMissing: true }, this.words.notYet, this.input);
		else this.internals.setValidity({});
	}
};
customElements.define("wherry-upload", WherryUpload);
export { WherryUpload, words };
