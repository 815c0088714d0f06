# Ce que disent en français les pages et les messages de la passerelle. Un fichier du même nom dans le répertoire que
# nomme `[web.public] templates` le dit autrement ; un nouveau nom ajoute une langue. Pas de balises : elles s’afficheraient.

## Sur plusieurs pages

unsubscribe-title = Se désabonner
left-title = Vous êtes désabonné(e)
done-heading = C’est fait
leave-everything = Ne plus recevoir aucune publicité de { $sender }
service-goes-on = Vous continuerez de recevoir ce que vous demandez vous-même : commandes, factures, mots de passe.
on-its-way = Un message déjà en route peut encore arriver. Vous pouvez fermer cette page.
contacts-intro = Pour écrire à l’expéditeur :
contacts-privacy = vos données

## Un lien venu d’un message

ask-heading = Ne plus recevoir ces messages ?
ask-intro = Ce lien se trouvait dans un message de { $sender } qui vous était adressé. Tant que vous n’avez pas choisi ci-dessous, rien ne change.
ask-about = Le message parlait de :
ask-leave-topics = Me désabonner de ces sujets
ask-again = Vous vous êtes réinscrit(e) le { $day }, après l’envoi de ce message. Voulez-vous quitter cela aussi ?
ask-not-mine-intro = Vous n’avez jamais donné cette adresse à { $sender } ?
ask-not-mine = Ce n’est pas mon adresse

## Ce qui est quitté

done-everything = Vous ne recevrez plus de publicité de { $sender }.
done-topics = Vous ne recevrez plus de messages de { $sender } sur :
done-address = Le message était adressé à { $address }.
done-not-mine = { $sender } apprend que cette adresse n’est pas celle de son client. Tant que ce n’est pas corrigé, des messages sur des commandes ou des factures peuvent encore arriver.
done-preferences = Choisir ce que vous recevez et à quel rythme

## Un lien qui ne désigne personne

no-link-heading = Ce lien ne fonctionne pas
no-link-text = Il est peut-être incomplet : rien n’a changé. Ouvrez-le depuis le message d’origine, ou utilisez le bouton « Se désabonner » de votre messagerie. Si cela ne suffit pas, écrivez à l’expéditeur : il doit tenir compte de votre demande.

## Une base qui ne répond pas

unavailable-title = Réessayez dans quelques minutes
unavailable-heading = Votre demande n’a pas encore été enregistrée
unavailable-text = Le service est momentanément indisponible. Réessayez dans quelques minutes avec le même lien : il reste valable.

## L’adresse fixe

me-heading = Ne plus recevoir de publicité
me-intro = Ce lien ne dit pas qui vous êtes. Indiquez l’adresse qui reçoit ces messages : un code y sera envoyé, puis vous choisirez ce que vous quittez.
me-address = Votre adresse électronique
me-send-code = Recevoir un code
me-button-too = Le bouton « Se désabonner » que votre messagerie affiche en haut du message fonctionne aussi, sans code.
me-problem-no-address = Ceci n’est pas une adresse : écrivez-la comme « nom@exemple.fr ».
me-problem-too-often = Trop de codes ont été demandés. Utilisez le dernier reçu, ou réessayez plus tard.
me-problem-not-sent = Le code n’a pas pu être envoyé, rien n’a changé. Réessayez dans quelques minutes, ou écrivez à l’expéditeur.
me-problem-wrong-code = Ce n’est pas le bon code. Essais restants : { $attempts }.
me-problem-code-is-over = Ce code n’est plus valable, rien n’a changé. Demandez-en un nouveau.
me-problem-nothing-chosen = Cochez au moins une case : rien n’a changé.
me-code-title = Votre code
me-code-heading = Saisissez le code reçu
me-code-intro = Si l’adresse existe, un message avec un code de six chiffres y arrive dans quelques minutes. Il est valable 15 minutes. Rien n’a changé jusqu’ici.
me-code = Code à six chiffres
me-code-go-on = Continuer
me-code-none = Rien reçu ? Vérifiez l’adresse et demandez un autre code.
me-choice-heading = Que voulez-vous quitter ?
me-choice-intro = Rien ne change tant que vous n’avez pas choisi un des boutons ci-dessous.
me-choice-everything = Toute la publicité de { $sender }
me-choice-already-left = { $label } (déjà quitté)
me-choice-leave = Quitter ce qui est coché
me-choice-leave-all = Tout quitter
me-left-intro = Vous ne recevrez plus :
me-left-everything = aucune publicité de { $sender }
me-left-topic = { $topic } – { $sender }

## Le message qui porte un code

code-subject = Votre code de désabonnement
code-text =
    Bonjour,

    votre code de désabonnement :

        { $code }

    Saisissez-le dans les 15 minutes sur la page où vous l’avez demandé :
    { $page }

    Vous n’avez rien demandé ? Alors vous n’avez rien à faire : sans ce code, rien
    ne change. Ne le communiquez à personne.

## Le retour, pour qui a transmis un message

back-title = Annuler le désabonnement
back-heading = Ce n’était pas vous ?
back-intro = Le { $day }, un lien dans un message adressé à { $address } a servi à se désabonner de { $sender }. Si ce n’était pas vous, vous pouvez revenir en arrière :
back-button = Annuler le désabonnement
back-no-more = Tout sera alors comme avant, et rien de plus. Si vous vouliez bien partir, vous n’avez rien à faire.
back-done = Le désabonnement de { $sender } est annulé. Tout est comme avant.
back-mail-subject = Vous êtes désabonné(e) de { $sender }
back-mail-text =
    Bonjour,

    un lien dans un message qui vous était adressé a servi à vous désabonner de
    { $sender }. Si c’était vous, vous n’avez rien à faire.

    Si vous aviez transmis le message et que quelqu’un d’autre a utilisé le lien,
    vous pouvez revenir en arrière pendant 30 jours :
    { $link }

## Signing up

subscribe-title = Messages de { $sender }
subscribe-heading = Messages de { $sender }
subscribe-text-boxes = Je souhaite recevoir par e-mail de { $sender } :
subscribe-text-yes-no = Souhaitez-vous recevoir par e-mail de { $sender } :
subscribe-text-refusal-box = Je ne souhaite pas recevoir de { $sender } d’e-mails sur des produits analogues à ceux que j’ai achetés.
subscribe-text-partner-box = J’accepte de recevoir des e-mails des partenaires de { $sender } sur :
subscribe-partners = Les partenaires sont : { $names }.
subscribe-yes = Oui
subscribe-no = Non
subscribe-address = Votre adresse e-mail
subscribe-trap = Laissez ce champ vide
subscribe-send = Envoyer
subscribe-info-who = { $sender } vous demande votre adresse et conserve votre réponse comme preuve.
subscribe-info-purpose = Vous recevrez ce que vous acceptez ici et rien d’autre ; vous n’êtes pas obligé d’accepter.
subscribe-info-partners = Votre adresse est transmise aux partenaires nommés ici si vous l’acceptez, et à personne d’autre ; vous n’êtes pas obligé d’accepter.
subscribe-info-similar = Après un achat, { $sender } peut vous écrire au sujet de produits analogues, sauf si vous refusez ici ou plus tard.
subscribe-info-stop = Vous pouvez arrêter à tout moment et sans frais : par le lien présent dans chaque message, ou en écrivant à { $contact }.
subscribe-info-privacy = Ce qui est fait de vos données
subscribe-problem-no-address = Ce n’est pas une adresse : écrivez-la comme « nom@exemple.fr ». Rien n’a été enregistré.
subscribe-problem-open = Répondez à chaque question par oui ou non. Rien n’a été enregistré.
subscribe-problem-foreign = Le formulaire n’a pas été compris. Rien n’a été enregistré : merci de le remplir à nouveau.
subscribe-problem-too-fast = Relisez votre réponse et envoyez-la encore une fois. Rien n’a été enregistré.
subscribe-problem-stale = Cette page est restée ouverte longtemps. Relisez votre réponse et envoyez-la encore une fois.
subscribe-problem-changed = Le formulaire a changé depuis que vous l’avez ouvert. Lisez-le et envoyez votre réponse encore une fois.
subscribe-problem-too-often = Trop de formulaires ont été envoyés depuis votre réseau. Rien n’a été enregistré : réessayez plus tard.
subscribe-problem-elsewhere = Le formulaire a été envoyé depuis une page qui ne peut pas l’afficher. Rien n’a été enregistré : merci de le remplir ici.
subscribe-problem-unreadable = Le formulaire n’a pas été compris. Rien n’a été enregistré : merci de le remplir à nouveau.
subscribe-problem-not-recorded = Le service est momentanément indisponible. Rien n’est perdu si vous renvoyez le formulaire dans quelques minutes.
subscribed-mail-heading = Consultez votre messagerie
subscribed-mail-text = Si l’adresse existe, un message avec une question y arrive dans les minutes qui viennent. Vous ne recevrez rien avant d’y avoir répondu. Vous pouvez fermer cette page.
subscribed-mail-later-heading = Encore un instant
subscribed-mail-later-text = Votre souhait est noté, mais le message avec la question n’a pas pu être envoyé à l’instant. Il suit dès que possible : vous n’avez rien à faire.
subscribed-recorded-heading = Merci
subscribed-recorded-text = Votre réponse est enregistrée. S’il faut s’assurer que l’adresse est la vôtre, un message avec une question y arrive. Vous pouvez fermer cette page.
subscribed-blank-heading = Vous n’avez rien coché
subscribed-blank-text = Vous n’avez donc accepté de recevoir aucun message. Pour changer cela, revenez en arrière et cochez ce que vous souhaitez.
subscribed-return = Retour à { $sender }

## The answer to the question in the mail

confirm-title = Votre réponse à { $sender }
confirm-heading = Souhaitez-vous des messages de { $sender } ?
confirm-asked = Cette adresse a été donnée à { $sender } avec le souhait de recevoir :
confirm-told = Vous avez dit à { $sender } que vous souhaitez des messages. Cochez ici ce que vous acceptez.
confirm-yes = Oui, je souhaite les recevoir
confirm-send = Envoyer ma réponse
confirm-otherwise = Si vous ne le souhaitez pas, fermez cette page : vous ne recevrez rien.
confirm-problem-unreadable = Rien n’a changé. Si vous acceptez, utilisez le bouton ci-dessous.
confirm-problem-changed = La page a changé depuis que vous l’avez ouverte. Lisez-la et répondez encore une fois.
confirm-problem-nothing-ticked = Vous n’avez rien coché, donc rien n’a changé. Cochez ce que vous souhaitez recevoir, ou fermez cette page.
confirmed-title = Merci
confirmed-heading = Merci, c’est confirmé
confirmed-text = Vous recevrez de { $sender } :
confirmed-stop = Vous pouvez arrêter à tout moment par le lien présent dans chaque message. Vous pouvez fermer cette page.
confirm-over-title = Cette question est close
confirm-over-unknown-heading = Ce lien ne fonctionne pas
confirm-over-unknown-text = Il est peut-être incomplet : rien n’a changé. Ouvrez-le depuis le message d’origine, ou inscrivez-vous à nouveau.
confirm-over-late-heading = Cette question est trop ancienne
confirm-over-late-text = Elle n’a pas reçu de réponse à temps, vous ne recevrez donc rien. Si vous le souhaitez toujours, inscrivez-vous à nouveau.
confirm-over-withdrawn-heading = Vous avez dit non depuis
confirm-over-withdrawn-text = Après cette question, vous avez demandé à ne plus rien recevoir, et c’est ce qui compte : un lien plus ancien n’y change rien. Si vous avez changé d’avis, inscrivez-vous à nouveau.
confirm-over-again = S’inscrire à nouveau auprès de { $sender }

## The mail that asks

question-subject = { $sender } : merci de confirmer
question-asked =
    Bonjour,

    cette adresse a été donnée à { $sender } avec le souhait de recevoir des messages sur :

    { $topics }

    C’était vous ? Alors confirmez-le sur cette page, jusqu’au { $until } :
    { $link }
question-told =
    Bonjour,

    vous nous avez dit que vous souhaitez recevoir des messages de { $sender } sur :

    { $topics }

    Cochez sur cette page ce que vous acceptez, jusqu’au { $until } :
    { $link }
question-repeated = Nous vous avons déjà posé la question. Ceci est le seul rappel.
question-otherwise = Si vous ne le souhaitez pas, vous n’avez rien à faire : sans votre réponse, vous ne recevrez rien.

## Les choix : ce qui est reçu, à quel rythme, par quels moyens

own-title = Vos choix
own-heading = Vos choix avec { $sender }
own-for = Ils concernent les messages envoyés à { $address }.
own-left = Vous ne recevez aucune publicité de { $sender }. Rien ne change tant que vous ne cochez pas un thème.
own-topics = Ce que vous recevez
own-question = Je veux que { $sender } m’envoie par e-mail de la publicité sur les thèmes que je coche, et aucune sur les autres. Je peux changer d’avis à tout moment.
own-includes = Comprend { $topics } : désactivé avec lui.
own-ground-customer = Envoyé parce que vous êtes client ; votre accord n’est pas nécessaire. Décochez et cela s’arrête.
own-ground-professional = Envoyé en raison de votre métier. Décochez et cela s’arrête.
own-ground-generic = Envoyé parce que cette adresse est celle d’une entreprise. Décochez et cela s’arrête.
own-ground-non_commercial = Envoyé parce que vous soutenez l’association. Décochez et cela s’arrête.
own-limit-of = Rythme : { $topic }
own-limit-none = sans limite
own-limit-day = { $count ->
    [1] une fois par jour au plus
   *[other] { $count } fois par jour au plus
 }
own-limit-week = { $count ->
    [1] une fois par semaine au plus
   *[other] { $count } fois par semaine au plus
 }
own-limit-month = { $count ->
    [1] une fois par mois au plus
   *[other] { $count } fois par mois au plus
 }
own-how-often = À quel rythme, et quand jamais
own-limit-all = Tous thèmes confondus
own-pause = Aucune publicité avant ce jour
own-pause-hint = Laissez vide pour aucune pause. Un an au plus ; sans fin, désactivez tout.
own-channels = Autres moyens
own-channels-hint = Noté pour { $sender }, qui doit en tenir compte là aussi. Une case cochée est une préférence ; elle ne remplace pas l’accord nécessaire pour les SMS.
own-channel-sms = SMS
own-channel-phone = Téléphone
own-channel-post = Courrier postal
own-channel-push = Notification dans l’application
own-info-who = { $sender } recueille ces choix pour vous envoyer ce que vous avez choisi et les conserve comme preuve.
own-info-stop = Vous pouvez arrêter à tout moment, ici ou par le lien de chaque message, sans donner de raison.
own-info-privacy = Ce que deviennent vos données, et vos droits
own-save = Enregistrer mes choix
own-off-heading = Plus aucune publicité
own-off-intro = Un seul geste pour tout ce que { $sender } envoie comme publicité par e-mail, aujourd’hui et demain.
own-off = Tout désactiver
own-choose = Choisir thème par thème
own-data-heading = Vos données
own-data-intro = Voyez ce qui est connu de vous, changez d’adresse ou faites tout effacer.
own-data-intro-code = Pour voir, changer ou effacer ce qui est connu de vous, montrez que vous lisez le courrier de l’adresse : un lien peut avoir été transmis.
own-data-intro-code-to = Pour voir, changer ou effacer ce qui est connu de vous, montrez que vous lisez le courrier de { $address } : un lien peut avoir été transmis.
own-data = Voir mes données
own-back = Retour
own-return = Retour à mes choix

## Enregistré

own-saved-title = C’est noté
own-saved-heading = C’est noté
own-saved-unchanged = Vous n’avez rien changé, donc rien n’a été changé.
own-saved-on = Vous voulez recevoir de { $sender } :
own-saved-off = Vous ne voulez plus recevoir de { $sender } :
own-saved-off-with-another = Désactivé aussi, car compris dans un thème que vous avez désactivé :
own-saved-not-yet = Ne commence qu’après votre confirmation :
own-saved-unproven = Vous aviez dit non à ces thèmes, ils restent donc désactivés : un lien peut avoir été transmis. Demandez un code sur la page de vos choix, puis réactivez-les :
own-saved-overtaken = Reste tel quel. Quelque chose a été dit à ce sujet après l’ouverture de la page ; rouvrez-la et choisissez de nouveau :
own-saved-wishes = Le rythme, la pause ou les autres moyens sont notés.
own-saved-wishes-overtaken = Le rythme, la pause ou les autres moyens ont été changés ailleurs après l’ouverture de la page et restent ainsi ; rouvrez-la et choisissez de nouveau.
own-saved-now = Cela vaut dès maintenant. Un message déjà en route peut encore arriver.
own-saved-nobody = Si votre adresse n’est plus enregistrée, un « non » est tout de même conservé, sans l’adresse. Pour recevoir de nouveau quelque chose, réinscrivez-vous auprès de l’expéditeur.

## Entrer avec un code

own-address-heading = Vos choix et vos données
own-address-intro = Saisissez l’adresse qui reçoit les messages : un code y est envoyé, puis vous voyez vos choix.
own-code-intro = Si l’adresse existe, un message avec un code à six chiffres y arrive dans quelques minutes. Il est valable 15 minutes. Rien n’a changé pour l’instant.
own-code-intro-to = Un message avec un code à six chiffres est en route vers { $address }. Il est valable 15 minutes. Rien n’a changé pour l’instant.
own-code-none = Rien reçu ? Revenez en arrière et demandez un autre code.
own-senders-heading = Les messages de qui ?
own-senders-intro = Chaque expéditeur a ses propres choix.
own-problem-heading = Cela n’a pas fonctionné
own-problem-no-address = Ce n’est pas une adresse : écrivez-la comme « nom@exemple.fr ».
own-problem-too-often = Trop de codes ont été demandés. Utilisez le dernier reçu, ou réessayez plus tard.
own-problem-not-sent = Le code n’a pas pu être envoyé et rien n’a changé. Réessayez dans quelques minutes, ou écrivez à l’expéditeur.
own-problem-wrong-code = Ce n’est pas le code. Essais restants : { $attempts }.
own-problem-code-is-over = Ce code n’est plus valable et rien n’a changé. Demandez-en un nouveau.
own-problem-pause = Rien n’a été enregistré : le jour de la pause doit être à venir, dans l’année, écrit comme 2027-03-31.
own-problem-same-address = C’est l’adresse que vous avez. Écrivez la nouvelle.
own-broken-heading = Rien n’a été changé
own-broken-text = La page est revenue incomplète, ou avec quelque chose qu’elle ne contenait pas. Revenez en arrière, choisissez de nouveau et enregistrez.
own-no-controller-heading = Cet expéditeur n’existe pas
own-no-controller-text = L’adresse de cette page ne désigne personne pour qui ce site travaille. Vérifiez-la, ou écrivez à l’expéditeur voulu.

## Les données

own-data-title = Vos droits et vos données
own-data-for = Vous avez montré que vous lisez le courrier de { $address }. Que voulez-vous que { $sender } fasse ?
own-access-heading = Voir ce qui est connu
own-access-intro = Tout ce que { $sender } détient ici à votre sujet : ce que vous avez dit et quand, ce qui a été envoyé ou retenu et pourquoi.
own-access-page = Télécharger comme page
own-access-json = Télécharger comme données (JSON)
own-move-heading = Corriger l’adresse
own-move-intro = Vous avez changé d’adresse ? Un code y est envoyé aussi. Pour toute autre erreur, { $sender } corrige : écrivez-lui, ci-dessous.
own-move-address = Votre nouvelle adresse e-mail
own-move-send = Envoyer un code à la nouvelle adresse
own-move-title = Votre nouvelle adresse
own-move-code-intro = Un message avec un code à six chiffres est en route vers la nouvelle adresse, si elle existe. Rien ne change tant que vous ne le saisissez pas.
own-move-consents = Ce qui vous suit
own-move-question = À la nouvelle adresse, je veux que { $sender } m’envoie par e-mail de la publicité sur les thèmes que je coche. Je peux changer d’avis à tout moment.
own-move-objections = Ce que vous avez refusé reste refusé à la nouvelle adresse.
own-move-purchases = Vos achats restent liés à l’ancienne adresse.
own-move-old = L’ancienne adresse ne reçoit plus de publicité de { $sender }.
own-move-now = Changer mon adresse
own-erase-heading = Effacer
own-erase-intro = Ce qui vous nomme est supprimé. La question vous est posée une seconde fois.
own-erase = Effacer mes données
own-erase-title = Effacer vos données ?
own-erase-goes = Tout ce qui relie ici { $address } à { $sender } est supprimé. C’est irréversible.
own-erase-stays = Ce qui reste, parce que la loi le veut :
own-erase-stays-mark = si vous avez refusé la publicité : une marque tirée de votre adresse, que personne ne peut relire, pour que le refus continue de valoir ;
own-erase-stays-proof = la preuve de ce qui a été dit et envoyé, sans qui l’a dit ni à qui.
own-erase-keep-mark = Et plus jamais de publicité de { $sender } : gardez cette marque pour moi.
own-erase-now = Effacer maintenant
own-erase-not = Non, revenir
own-erase-sender = { $sender } peut détenir autre chose ailleurs, comme des commandes et des factures : écrivez-lui pour cela.
own-done-title = C’est fait
own-done-off = Vous ne recevrez plus de publicité de { $sender } par e-mail. Un message déjà en route peut encore arriver.
own-done-erased = Ce qui vous nommait est supprimé. Le lien des anciens messages continue de servir si vous voulez refuser la publicité.
own-done-moved = Votre nouvelle adresse est notée, avec ce que vous avez refusé et ce que vous avez coché. { $sender } voit que l’ancienne ne doit plus servir.

## La page des droits

rights-title = Vos droits avec { $sender }
rights-intro = { $sender } doit les respecter gratuitement, sans que vous donniez de raison :
rights-object = Opposition : ne plus recevoir de publicité.
rights-access = Accès : voir tout ce qui est connu de vous.
rights-rectify = Rectification : faire corriger votre adresse.
rights-erase = Effacement : faire supprimer vos données.
rights-code = Saisissez votre adresse. Un code y est envoyé, pour que personne d’autre ne demande à votre place.
rights-otherwise = Sans cette page : écrivez à l’adresse ci-dessous. Vous pouvez aussi adresser une réclamation à l’autorité de protection des données de votre pays (en France, la CNIL).
rights-reply =
    Bonjour,

    vous pouvez vous opposer à nos messages, voir ce que nous savons de vous, le
    faire corriger ou effacer. Il suffit de votre adresse e-mail et d’un code qui
    y est envoyé :

        { $page }

    Vous pouvez aussi répondre à ce message. Nous y donnons suite sous un mois au
    plus tard, et à une opposition sans attendre.

    { $sender }

## Le message avec un code pour les choix et les données

own-code-subject = Votre code
own-code-text =
    Bonjour,

    votre code pour choisir ce que vous recevez, et pour voir, déplacer ou effacer
    vos données :

        { $code }

    Saisissez-le dans les 15 minutes sur la page où vous l’avez demandé :
    { $page }

    Vous n’avez rien demandé ? Alors vous n’avez rien à faire : sans ce code, rien
    ne change. Ne le communiquez à personne.
