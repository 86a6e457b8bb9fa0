/*
 * Wherry's element <wherry-upload> in Streamlit and Gradio 0.1.0.dev0. MIT licence.
 *
 * wherry.streamlit and wherry.gradio serve it, and what it imports.
 *
 * It is made from TypeScript; change it there (web/ in the repository), not here.
 */
import "./wherryUpload.js";
// src/element/wherryComponent.ts
var Place = class {
	constructor(parent) {
		this.element = document.createElement("wherry-upload");
		this.arrived = /* @__PURE__ */ new Map();
		this.told = [];
		this.headers = {};
		this.tell = () => {};
		for (const name of [
			"wherry-progress",
			"wherry-complete",
			"wherry-failed"
		]) this.element.addEventListener(name, (event) => this.look(event.detail));
		parent.append(this.element);
	}
	set(settings, tell) {
		const { endpoint, accept, multiple, disabled, metadata, credentials } = settings;
		this.element.setAttribute("endpoint", endpoint);
		this.element.setAttribute("accept", accept);
		this.element.toggleAttribute("multiple", multiple);
		this.element.toggleAttribute("disabled", disabled);
		const options = {
			headers: () => this.headers,
			metadata,
			credentials
		};
		this.element.options = options;
		this.headers = settings.headers;
		this.tell = tell;
	}
	clear() {
		if (this.told.length === 0) return;
		this.told = [];
		this.element.replaceWith(this.element);
	}
	look({ file, result }) {
		if (result) {
			const { upload_id: id, assessment_id } = result;
			this.arrived.set(id, {
				id,
				filename: file.name,
				size: file.size,
				assessment_id
			});
		}
		const ids = this.element.value;
		if (ids.join() === this.told.join()) return;
		this.told = ids;
		this.tell(ids.flatMap((id) => this.arrived.get(id) ?? []));
	}
};
var places = /* @__PURE__ */ new WeakMap();
/** Show the element in `parent`, or change the one that is there. */
function show(parent, settings, tell) {
	let place = places.get(parent);
	if (!place) places.set(parent, place = new Place(parent));
	place.set(settings, tell);
}
/** Take away the files that the element in `parent` lists; those under way are left. */
function clear(parent) {
	places.get(parent)?.clear();
}
/** What Streamlit calls each time that its script has run. */
function component(given) {
	show(given.parentElement, given.data, (files) => given.setStateValue("files", files));
}
export { clear, component as default, show };
