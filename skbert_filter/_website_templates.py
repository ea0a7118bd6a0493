"""What the generated company sites consist of: boilerplate and the kinds of text.

A template is text with ``{slots}``; a slot that begins with a capital letter is capitalised.
Both classes use the same words on purpose: what tells them apart is mostly form (a sentence cut
short, a headline in title case, an imperative, a list), as on real sites. Drawing, finishing and
repeating the texts is the work of ``datasets``.
"""

from typing import Literal, NamedTuple

from skbert_filter._website_words import lines, words

# The same on every site, the most frequent first.
BOILERPLATE = (
    *words("""
    View All, Contact us, Read more, Home, Search, Menu, About us, News, Products, Learn more,
    Contact, Privacy Policy, Login, Services, Cookie settings, Careers, Impressum, Subscribe,
    Back to top, Share, Download, Accept all, Close, More, Next, Previous, Facebook, LinkedIn,
    Terms and conditions, Sitemap, Submit, Sign in, Register, Add to cart, Newsletter, FAQ,
    Our team, Show more, Skip to content, Instagram, YouTube, Twitter, Send, E-mail, Phone, Name,
    Shop, Blog, Events, Press, Downloads, Imprint, Datenschutz, Kontakt, Mehr erfahren,
    Startseite, Über uns, Leistungen, Aktuelles, Weiterlesen, Suche, AGB, Karriere, Anmelden,
    Warenkorb, Zurück, Alle anzeigen, Produkte, Nach oben, Schließen, Weiter, Accueil,
    Lire la suite, Mentions légales, Contactez-nous, À propos, En savoir plus, Actualités,
    Produits, Nos services, Rechercher, Panier, Voir tout, Plan du site, Retour, Télécharger,
    Fermer, Inicio, Leer más, Contacto, Aviso legal, Política de privacidad, Quiénes somos,
    Productos, Noticias, Ver todo, Buscar, Servicios, Siguiente, Añadir al carrito,
    Iniciar sesión, Mapa web, Descargar, Chi siamo, Contatti, Scopri di più, Prodotti, Servizi,
    Leggi tutto, Carrello, Strona główna, O nas, Kontakt i dojazd, Czytaj więcej, Aktualności,
    Oferta, Polityka prywatności, Koszyk, Lees meer, Over ons, Producten, Vacatures, Winkelwagen,
    Bekijk alles, Главная, О компании, Контакты, Подробнее, Новости, Каталог, Корзина, 首页,
    联系我们, 关于我们, 产品中心, 新闻, 查看更多, 会社概要, お問い合わせ, 詳細を見る, 製品情報,
    ニュース, EN, DE, FR, ES, English, Deutsch, Français, Español, Italiano, Polski, Nederlands,
    Русский, 中文, 日本語, Shopping cart, Checkout, My account, Wish list, Compare, In stock,
    Sold out, Sale, New, Top, Print, Print this page, Share this page, Tweet, Pin it, Follow us,
    Stay connected, Archive, Categories, Tags, Comments, Leave a comment, Reply, Edit, Save,
    Cancel, OK, Yes, No, Loading..., Go, Apply now, Apply, Job openings, Details, Description,
    Specifications, Reviews, Related products, Price, Quantity, Total, Shipping, Returns, Size,
    Colour, Material, Weight, Width, Height, Quick view, Request a quote, Get in touch,
    Find a dealer, Book now, Get started, Start, Watch video, Play, Pause, Gallery, Media,
    Partners, References, Case studies, Our story, History, Sustainability, Quality, Certificates,
    Locations, Opening hours, Directions, Show map, Support, Help, Customer service,
    Technical data, Data sheet (PDF), Brochure, PDF, Legal notice, Disclaimer, Copyright,
    Accessibility, Cookie policy, Decline, Manage preferences, Necessary, Statistics, Marketing,
    Forgot password?, Remember me, First name, Last name, Company, Message, Country, City,
    Postcode, Required field, Please select, Choose an option, Sort by, Filter, Reset, Results,
    404, Page not found, Image, Logo, Toggle navigation, Open menu, Close menu, Language,
    Select language, », ›, |, ..., ×, +, 1, 2, 3
    """),
    *lines("""
    All rights reserved.
    This site uses cookies. By continuing to browse you agree to our use of cookies.
    Please enable JavaScript in your browser to view this page.
    We value your privacy and use cookies to offer you the best experience on our website.
    No products were found matching your selection.
    Your cart is currently empty.
    You must be logged in to post a comment.
    Your e-mail address will not be published. Required fields are marked *
    Thank you for your message. It has been sent.
    Subscribe to our newsletter and never miss an offer.
    Wir verwenden Cookies, um Ihnen ein optimales Erlebnis auf unserer Website zu bieten.
    Bitte füllen Sie alle Pflichtfelder aus.
    Alle Preise inkl. MwSt. zzgl. Versandkosten
    Ce site utilise des cookies afin d’améliorer votre expérience de navigation.
    Tous droits réservés.
    Utilizamos cookies propias y de terceros para mejorar nuestros servicios.
    Todos los derechos reservados.
    Questo sito utilizza i cookie per migliorare la tua esperienza.
    Ta strona używa plików cookie. Dowiedz się więcej.
    Deze website maakt gebruik van cookies.
    Мы используем файлы cookie, чтобы сделать сайт удобнее.
    本网站使用 Cookie，继续浏览即表示您同意。
    """),
)  # fmt: skip


class Kind(NamedTuple):
    """Templates of one kind of text, how often it is drawn and what it is worth.

    ``keep`` is the probability of label 1.
    """

    weight: float
    keep: float
    templates: tuple[str, ...]
    finish: Literal["none", "cut", "title", "bare"] = "none"


# A kind with a `keep` between 0 and 1 is uncertain: each of its texts draws its label. Weights
# count within the certain kinds and within the uncertain ones; they were tuned to the difficulty
# that tests/test_datasets.py holds them to.
KINDS = (
    Kind(26, 1, lines("""
        {sentence}
        {sentence}
        {sentence}
        {english} {english}
        {english} {english}
        {english} {english}
        {english} {english}
        {english} {english} {english}
        “{english} {english}”
        "{english}" – {person}, {company}
        {english} ({person}, {year})
        {english} And best of all: they {gain}!
        {english} {english} {english} {english} {english} {english}
    """)),
    Kind(3, 1, lines("""
        Made of {material} in {city}.
        They {gain}.
        {Products} of {material} {gain}.
        Our {products} {gain}.
        {Who} still {verb} {products}.
        Family-owned since {year}.
        {Person} founded it in {year}.
        Open from {weekday} to {weekday}.
        We {do} {products} {where}.
        {Company} {verb} {adj} {products}.
        {Company} has {nnn} employees {where}.
        Each {product} weighs {n} kg.
        Entry is free {when}.
        It was closed {when}.
        Delivery takes {count} days.
        {Industry} trust our {products}.
        {Person} is our {role} {where}
        {n} % of our {products} are made {where}
        No {product} without {material} since {year}
        Only {material} from {city}, dried for {n} days
        {Products}: {gain}, {gain}
        Our {de_ding} sind geprüft.
        Gegründet {year} in {city}.
        Nos {fr_chose} sont {fr_art}.
        Hecho a mano en {city}.
        Works well, no leaks after {n} months!
        “The {products} {gain}.” – {person}, {company}
        "Great {products}, fast delivery, fair price" – {person}, {city}
        Parking for {n} cars, {count} rooms, no stairs
        Contains {material}, {material} and nothing else.
        Yes, we {do} {products} too.
    """)),
    # The same sentences, cut short or turned into headlines.
    Kind(3, 0, ("{sentence}", "{sentence}", "{english}", "{english} {english}"), "cut"),
    Kind(2.5, 0, lines("""
        {english}
        {Who} {did} {adj} {products} {when}
        {Company} opens {place} {where}
        {Products} of {material} {gain}
        {Person} is the new {role} of {company}
        How {industry} {do} {products} {where}
        {Count} ways to {do} {products}
    """), "title"),
    Kind(33, 0, lines("{item}\n" * 6 + """
        {Products} of {material}
        {Products} for {industry}
        Our {products}
        All {products}
        {Place} {city}
        {Topic} {where}
        {Role} (m/f/d) {city}
        {Role}, {city}
        {Person}
        {Person}, {role}
        By {person}
        {Month} {year} ({n})
        About {company}
        {Products} A–Z
        {De_art} {de_ding}
        {De_ding} für {de_kunde}
        Nos {fr_chose} {fr_art}
        {Es_cosa} {es_art}
        {It_cosa} e {it_cosa}
        {Pl_rzecz} i {pl_rzecz}
        {Nl_ding} en {nl_ding}
        {Ru_vesh} и {ru_vesh}
        {zh_wu}、{zh_wu}系列 {code}
        {ja_mono}・{ja_mono} {code}
    """)),
    Kind(14, 0, lines("""
        {phone}
        Tel. {phone}
        Tel.: {phone} | Fax: {phone}
        {email}
        E-mail: {email}
        {street}, {nnnn} {city}
        {company}, {street}, {nnnn} {city}, {country}
        {Company} · {street} · {nnnn} {city} · Tel. {phone} · {email}
        {date}
        {date} | {person}
        Posted on {date} by {person} in {topic}
        {date} – {topic}
        {price}
        {price} incl. VAT
        From {price}
        {product} {code} {price} Add to cart
        SKU: {code}
        Art. no. {code} | {material} | {price}
        {code} {n} mm {nnn} mm {n} kg {material}
        {Material} | {n} x {n} x {nnn} mm | {color}
        Weight {n} kg Width {nnn} mm Material {material} Colour {color}
        {weekday} – {weekday}: {n}:00 – {n}:30
        © {year} {company}. All rights reserved.
        © {company} {year} | Imprint | Privacy
        Home > {Products} > {Adj} {products}
        Home / {Products} / {Product} {code}
        Home » News » {Month} {year} » {Topic}
        You are here: Home › {Place} {city} › {Topic}
        Share on Facebook: {topic}
        {Product}_{code}.pdf ({n} MB)
        {product}-{code}-{nnn}x{nnn}.jpg
        Page {n} of {nnn}
        {n} of {nnn} results for "{products}"
        HRB {nnnn} · VAT ID {letter}{letter}{nnn}{nnn}{nnn}
        <a href="/{topic}">{Topic}</a>
        var item_{n} = "{code}";
    """)),
    Kind(6, 0, lines("""
        No results for {products}.
        {n} results found.
        More on {topic}.
        Please choose a {product}.
        Please enter a city, e.g. {city}.
        Thank you, your order {code} was sent.
        {Product} {code} is out of stock.
        Order {products} now!
        Ask {person}.
        Write to {email}.
        Call us: {phone}.
        Visit us at the {fair}.
        Follow {company} on LinkedIn.
        See all {products}.
        Learn about {topic}.
        Save {n} % now!
        Only {n} left!
        Last updated {date}.
        Posted in {topic}.
        Written by {person}.
        {Company}, {city}.
        Image: {person}.
        Jetzt {de_ding} ansehen.
        {De_ding} nicht gefunden.
        Découvrez nos {fr_chose}.
        Compre {es_cosa} aquí.
        Scopri le {it_cosa}!
    """)),
    # Long, and worth nothing: calls to action, notices, lists.
    Kind(4.5, 0, lines("""
        Discover {adj} {products} for {industry} and learn how they {gain}.
        Find out how {who} {did} {products} {where}, {why}.
        Read more about {products} of {material} and how {industry} {where} use them.
        Learn how {company} {verb} {products} {where}, and contact {person} today.
        Contact our {role} in {city} if you would like to {do} {products} {when}.
        Browse {nnn} {products} of {material}, {material} or {material} and order online.
        Register now for the {fair} {where} and meet {person}, {role} at {company}.
        See also: {products} of {material}, which {gain}, and {topic}.
        Looking for {adj} {products}? We {do} them {where}. Call {phone} or write to {email}.
        Would you like to {do} {products} {where}? Then apply by {date} at {email}.
        Sign up for news on {topic}, {topic} and {topic} from {company}.
        By sending this form you agree that {company} may store your data for {n} months, {why}.
        {Company} uses cookies so that visitors {where} can {do} {products} and compare them {when}.
        Some cookies are needed to show {products}, others help {company} to improve this site \
            for {industry}.
        The information on {products} on this page is not binding and may change, {why}.
        {Company} accepts no liability for linked pages on {topic} or for {products} that were \
            {did} {when}.
        Prices for {products} {where} include VAT and are valid {when}, while stocks last.
        No part of this page may be copied without written consent of {company}, {city}, {country}.
        We are sorry, the {product} {code} is no longer available. Customers also bought {adj} \
            {products}.
        Please enter the {product} you want to {do} and choose a {place} {where}.
        There are no jobs for a {role} {where} at the moment.
        This {product} has {n} reviews, and {nnn} people {where} have it on their list.
        Ihre Daten werden von {company} nur genutzt, um Ihnen {de_ding} und {de_ding} anzubieten.
        Entdecken Sie {de_art} {de_ding} für {de_kunde} und fordern Sie unseren Katalog an.
        Jetzt {de_art} {de_ding} bestellen und bis zu {n} % sparen.
        Lesen Sie, wie {de_kunde} in {city} {de_art} {de_ding} nutzen.
        Découvrez nos {fr_chose} {fr_art} pour {fr_client} et demandez un devis.
        En poursuivant, vous acceptez que {company} utilise des cookies pour {fr_client}.
        Descubra nuestras {es_cosa} {es_art} para {es_cliente} y pida su catálogo.
        Al enviar este formulario acepta que {company} guarde sus datos durante {n} meses.
        Scopri le nostre {it_cosa} e le nostre {it_cosa}, fatte a mano a {city} dal {year}.
        Zobacz nasze {pl_rzecz} i {pl_rzecz} w {city}.
        Bekijk onze {nl_ding} en {nl_ding} in {city} en vraag een offerte aan.
        Подпишитесь на новости компании и получите скидку {n} % на {ru_vesh}.
    """)),
    Kind(3, 0, lines("""
        {entry} {entry} {entry} {entry} {entry} {entry}
        {entry} {entry} {entry} {entry} {entry} {entry} {entry} {entry} {entry} {entry}
        {entry} | {entry} | {entry} | {entry}
        {item} {item} {item} {item} {item} {item} {item}
        {entry} {entry} {entry} {item} {item} {item} {item} {item} {item} {item} {item} {item} \
            {item} {item}
        All {city} ({n}) {city} ({n}) {city} ({n}) {city} ({n}) {city} ({n})
        {Role} {city} {Role} {city} {Role} {city} {Role} {city} Show all jobs
        Filter by: {material} ({n}) {material} ({n}) {color} ({n}) {color} ({n}) {color} ({n})
        Tags: {topic}, {topic}, {products}, {material}, {industry}, {topic}
        Country {country} {country} {country} {country} {country} {country} {country}
        {date} {Topic} {where} {date} {Topic} for {industry} {date} {Products} of {material}
        Related: {Products} of {material}, {Products} for {industry}, {Topic} {where}
        {Product} {price} {Product} {price} {Product} {price} View all {products}
        {De_ding} {De_ding} {De_ding} {De_ding} {De_ding} {De_ding}
        {Fr_chose} {Fr_chose} {Fr_chose} {Fr_chose} Voir tout
    """)),
    # Slogans, captions and teasers on which two people would not agree.
    Kind(4, 0.45, lines("""
        {Adj} {products}, made {where}
        {Products} that {gain}
        {Company}: {adj} {products} for {industry}
        {Person} at the {fair} {year}
        {Person} and the {role} of {company} {where}
        Our {place} {where}, {year}
        Your partner for {products} {where}
        {Material} meets {material}: our new {products}
        Why {industry} choose {products} of {material}
        {Topic}: {who} {where}
        {Weekday} {when}: {topic} with {person}
        Nothing but {material}. Nothing but {products}.
        {De_ding} aus {city}, {de_art} und geprüft
        Des {fr_chose} {fr_art} pour {fr_client}
        {Es_cosa} {es_art} para {es_cliente}
    """)),
    Kind(3, 0.55, ("{english}", "{sentence}"), "bare"),
)  # fmt: skip
