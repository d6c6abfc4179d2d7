import "./static/prices-card.js";
